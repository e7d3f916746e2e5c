# Reads a coverage profile and prints the share of statements that ran, package
# by package. Fails if one is below min percent, or if there is none.
#
# A line of the profile is "file:from,to statements count". With -coverpkg each
# test binary writes a line for each block: one that counts is enough.
NR > 1 {
	statements[$1] = $2
	if ($3 > 0) covered[$1] = 1
}
END {
	for (block in statements) {
		package = block
		sub(/\/[^\/]*$/, "", package)
		total[package] += statements[block]
		if (block in covered) ran[package] += statements[block]
	}
	for (package in total) {
		found = 1
		if (total[package] == 0) continue
		percent = 100 * ran[package] / total[package]
		verdict = ""
		if (percent < min) {
			failed = 1
			verdict = ", below " min "%"
		}
		# Cut rather than rounded, so that no figure looks like enough that isn't.
		printf "%s: %.1f%% of statements%s\n", package, int(percent * 10) / 10, verdict
	}
	if (!found) print "no coverage measured"
	exit failed || !found
}
