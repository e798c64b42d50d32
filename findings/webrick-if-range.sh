#!/bin/bash
# SPDX-License-Identifier: MIT
#
# webrick 1.8.1 (Ruby 3.1): a request with Range and an If-Range that *matches* is answered with
# 304, as if it were If-None-Match: no body at all, where RFC 9110 section 13.1.5 wants 206. With
# one that does not match it sends the 206. And its ETag stands without the quotation marks that
# make it one. Seen: 304 for the match, 206 for the other, Etag: NNN-NNN-NNN.

# shellcheck source=findings/lib/begin.sh
. "$(dirname "$0")/lib/begin.sh"

needs python3
install ruby-webrick=1.8.1-1 ruby3.1=3.1.7+really3.1.2-0+deb12u1 libruby3.1=3.1.7+really3.1.2-0+deb12u1 libyaml-0-2=0.2.5-1
mkdir www
head -c 1000 /dev/zero >www/file
port=$(free_port)
cat >serve.rb <<'END'
require 'webrick'
server = WEBrick::HTTPServer.new(Port: ARGV[0].to_i, BindAddress: '127.0.0.1', DocumentRoot: 'www',
                                 AccessLog: [], Logger: WEBrick::Log.new(File::NULL))
trap('TERM') { server.shutdown }
server.start
END
lib=$root/usr/lib
RUBYLIB=$root/usr/share/rubygems-integration/all/gems/webrick-1.8.1/lib:$lib/ruby/3.1.0:$lib/x86_64-linux-gnu/ruby/3.1.0
export RUBYLIB
start ruby3.1 --disable-gems serve.rb "$port"
printf 'HEAD /file HTTP/1.1\nHost: a\nConnection: close\n\n' |
	ask "$port" >answer
etag=$(head_of answer | sed -n 's/^etag: *//Ip')
shows "Etag: $etag" [ "${etag#\"}" = "$etag" ]
for validator in "$etag" '"another"'; do
	printf 'GET /file HTTP/1.1\nHost: a\nRange: bytes=5-9\nIf-Range: %s\nConnection: close\n\n' \
		"$validator" | ask "$port" >answer
	head_of answer | sed -n '1s/^[^ ]* \([0-9]*\).*/\1/p'
done >statuses
said=$(paste -s -d ' ' statuses)
shows "$said for the validator that matches and for another" [ "$said" = "304 206" ]
