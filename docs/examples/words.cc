/* SPDX-License-Identifier: MIT */
/*
 * words.cc - count the words of files in C++: lambdas as tasks, exceptions, scopes
 *
 * Each file is read by a task of its own, eight at a time; a second group shows how the first failure ends the
 * rest and comes out of wait() as the exception that it was.
 */
#include <batchproc.hpp>

#include <cctype>
#include <iostream>
#include <map>
#include <string>
#include <vector>

static unsigned long words_in(const std::string &path)
{
	bp::descriptor fd(bp_openat(AT_FDCWD, path.c_str(), O_RDONLY | O_CLOEXEC, 0));
	unsigned long words = 0;
	bool inside = false;
	char buf[4096];
	off_t at = 0;

	while (ssize_t n = bp::check(bp_read(fd.get(), buf, sizeof(buf), at), path.c_str())) {
		for (ssize_t i = 0; i < n; i++) {
			bool space = std::isspace(static_cast<unsigned char>(buf[i]));

			words += !space && !inside;
			inside = !space;
		}
		at += n;
	}
	return words;
}

int main(int argc, char **argv)
{
	std::vector<std::string> paths(argv + 1, argv + argc);
	std::map<std::string, unsigned long> words;
	bp::engine engine;

	if (paths.empty())
		paths = {"/etc/passwd", "/etc/group", "/etc/services"};
	{
		bp_group_opts opts = bp::limit(8);

		opts.stop_after_failures = 0; /* a file that is missing does not end the rest */
		bp::group group(engine, opts);
		for (const std::string &path : paths)
			/* One loop, so that no two tasks touch the map at once. */
			group.go([&words, path] { words[path] = words_in(path); });
		try {
			group.wait();
		} catch (const std::system_error &e) {
			std::cout << "the first that failed: " << e.what() << '\n';
		}
		for (const auto &entry : words)
			std::cout << entry.first << ": " << entry.second << " words\n";
	}

	bp::group group(engine);

	group.go([] { bp::check(bp::sleep_for(std::chrono::hours(1))); });
	group.go([] { words_in("/nosuch/file"); });
	try {
		group.wait();
	} catch (const std::system_error &e) {
		std::cout << "ended by: " << e.what() << '\n';
		return e.code() == std::errc::no_such_file_or_directory ? 0 : 1;
	}
	return 1;
}
