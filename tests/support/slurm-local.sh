#!/bin/bash
# SPDX-License-Identifier: MIT
#
# slurm-local.sh [-n NODES] [-c CPUS] [-t SECONDS] COMMAND [ARGUMENT...]: a Slurm of its own for one
# command, on loopback: munged, slurmctld and NODES slurmd, all in a fresh directory, with a key of their
# own. Nothing else of the machine is touched.
#
# COMMAND runs with SLURM_CONF and SLURM_LOCAL_DIR set, for SECONDS at most; all ends with it, and the
# exit status is its own; 77 where Slurm is not installed or does not start here. Where it can be, a node
# is a PID namespace, and `kill -9 $(cat "$SLURM_LOCAL_DIR/node0.pid")` is a power cut: slurmd and all
# that it has started are gone at once; then SLURM_LOCAL_POWER is set.
#
# Debian: slurmctld slurmd slurm-client munge.
#
# Traps call what seems to be called by nobody.
# shellcheck disable=SC2317
set -u
nodes=2 cpus=2 most=120
while getopts n:c:t: option; do
	case $option in
	n) nodes=$OPTARG ;;
	c) cpus=$OPTARG ;;
	t) most=$OPTARG ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || exit 2
PATH=$PATH:/usr/sbin:/sbin
for program in munged slurmctld slurmd sbatch squeue scancel scontrol sinfo; do
	command -v $program >/dev/null || {
		echo "$program is not installed"
		exit 77
	}
done

dir=$(mktemp -d "${TMPDIR:-/tmp}/slurm-XXXXXX") || exit 1
chmod 755 "$dir"
mkdir -p "$dir/munge" "$dir/state" "$dir/spool" "$dir/log"
me=$(id -un)
pids=()
boxes=()
command_pid=

# Each job has a process group of its own; ours are known by the configuration that they were given.
ours()
{
	local file pid
	for file in /proc/[0-9]*/environ; do
		pid=${file#/proc/}
		pid=${pid%/environ}
		if [ "$pid" = $$ ] || [ "$pid" = "$BASHPID" ]; then
			continue
		fi
		{ tr '\0' '\n' <"$file"; } 2>/dev/null | grep -qxF "SLURM_CONF=$dir/slurm.conf" && echo "$pid"
	done
}

finish()
{
	trap - EXIT INT TERM HUP
	local pid round alive
	[ -z "$command_pid" ] || kill "$command_pid" 2>/dev/null
	for pid in "${boxes[@]}"; do
		kill -9 "$pid" 2>/dev/null
	done
	for pid in "${pids[@]}"; do
		kill "$pid" 2>/dev/null
	done
	for ((round = 0; round < 20; round++)); do
		alive=0
		for pid in "${pids[@]}"; do
			kill -0 "$pid" 2>/dev/null && alive=1
		done
		[ "$alive" = 1 ] || break
		sleep .1
	done
	for pid in "${pids[@]}" $(ours); do
		kill -9 "$pid" 2>/dev/null
	done
	wait 2>/dev/null
	rm -rf "$dir"
}
trap finish EXIT
trap 'finish; exit 130' INT TERM HUP

# start LOG COMMAND...: in the background; its number is the last of pids
start()
{
	local log=$1
	shift
	"$@" >"$dir/log/$log" 2>&1 </dev/null &
	pids+=($!)
}

# until_so TENTHS COMMAND...
until_so()
{
	local round=$1
	shift
	while [ "$round" -gt 0 ]; do
		"$@" && return 0
		round=$((round - 1))
		sleep .1
	done
	return 1
}

give_up()
{
	tail -n 20 "$dir"/log/* >&2
	echo "Slurm does not start here"
	exit 77
}

# Ports that nobody listens on: one for slurmctld, and one for each node behind it.
free_ports()
{
	local port
	for ((port = base; port <= base + nodes; port++)); do
		! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || return 1
	done
}
for ((try = 0; try < 50; try++)); do
	base=$((20000 + RANDOM % 10000))
	free_ports && break
done

(umask 077 && head -c 1024 /dev/urandom >"$dir/munge/key")
start munged munged --foreground --num-threads=2 --key-file="$dir/munge/key" --socket="$dir/munge/socket" \
	--pid-file="$dir/munge/pid" --log-file="$dir/log/munged.log" --seed-file="$dir/munge/seed"
until_so 100 test -S "$dir/munge/socket" || give_up

cat >"$dir/slurm.conf" <<END
ClusterName=local
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort=$base
SlurmUser=$me
SlurmdUser=$me
AuthType=auth/munge
AuthInfo=socket=$dir/munge/socket,cred_expire=5
CredType=cred/munge
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool/%n
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/%n.slurmd
SlurmctldLogFile=$dir/log/slurmctld.log
SlurmdLogFile=$dir/log/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=1
SlurmdParameters=config_overrides
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
SlurmdTimeout=5
MessageTimeout=5
KillWait=2
InactiveLimit=0
MinJobAge=300
MailProg=/bin/true
END
for ((i = 0; i < nodes; i++)); do
	echo "NodeName=node$i NodeHostname=localhost NodeAddr=127.0.0.1 Port=$((base + 1 + i))" \
		"CPUs=$cpus RealMemory=512 State=UNKNOWN"
done >>"$dir/slurm.conf"
echo "PartitionName=all Nodes=ALL Default=YES MaxTime=10 State=UP" >>"$dir/slurm.conf"
export SLURM_CONF=$dir/slurm.conf SLURM_LOCAL_DIR=$dir

start slurmctld slurmctld -D -f "$SLURM_CONF"
box=()
if [ "$(id -u)" -eq 0 ] && unshare -pf --mount-proc true 2>/dev/null; then
	box=(unshare -pf --mount-proc --kill-child=KILL)
	export SLURM_LOCAL_POWER=1
fi
for ((i = 0; i < nodes; i++)); do
	mkdir -p "$dir/spool/node$i"
	# Somebody has to reap what slurmd leaves behind: here that is the first process.
	# shellcheck disable=SC2016
	start "node$i" "${box[@]}" bash -c 'slurmd "$@" & while :; do wait; sleep .2; done' - \
		-D -f "$SLURM_CONF" -N "node$i"
	boxes+=($!)
	echo $! >"$dir/node$i.pid"
	disown $!
done
all_idle()
{
	[ "$(sinfo -h -o '%T %D' 2>/dev/null)" = "idle $nodes" ]
}
until_so 300 all_idle || give_up

timeout -k 2 "$most" "$@" &
command_pid=$!
wait $command_pid
status=$?
command_pid=
exit $status
