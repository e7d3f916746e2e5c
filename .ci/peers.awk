# Makes one table of the csv that benchstat writes with -col /via -row .name, and
# of lines "binary,variant,bytes". A cell has the median, the allocations and how
# many times as long it takes as plain code: after a ~ if the rounds differ too
# much among themselves to tell.
BEGIN {
	FS = ","
	variants = split("floor gen facade stripe svix hmac", variant, " ")
}
$1 == "binary" { bytes[$2] = $3; next }
/^,floor,/ { for (i = 2; i <= NF; i++) if ($i != "") column[$i] = i; next }
/^,/ { unit = $2; next }
unit == "" || $1 == "" || $1 == "geomean" { next }
unit == "sec/op" {
	name[++names] = $1
	for (v in column) {
		seconds[$1, v] = $column[v]
		unsure[$1, v] = $(column[v] + 2) == "~" ? "~" : ""
	}
}
unit == "allocs/op" { for (v in column) allocs[$1, v] = $column[v] }
END {
	row("", "plain code", "gen", "facade", "stripe-go", "svix", "bare HMAC")
	row("---", "---", "---", "---", "---", "---", "---")
	for (n = 1; n <= names; n++) {
		for (i = 1; i <= variants; i++) cell[i] = result(name[n], variant[i])
		row(name[n], cell[1], cell[2], cell[3], cell[4], cell[5], cell[6])
	}
	for (i = 1; i <= variants; i++) cell[i] = size(variant[i])
	row("binary", cell[1], cell[2], cell[3], cell[4], cell[5], cell[6])
}
function result(name, v,    s) {
	s = seconds[name, v]
	if (s == "") return ""
	return time(s) sprintf(", %d", allocs[name, v]) (v == "floor" ? "" : sprintf(", %s%.2f", unsure[name, v], s / seconds[name, "floor"]))
}
function size(v) {
	if (bytes[v] == "") return ""
	return sprintf("%.2f MB", bytes[v] / 1e6) (v == "floor" ? "" : sprintf(", %.2f", bytes[v] / bytes["floor"]))
}
function time(s) {
	if (s < 1e-6) return sprintf("%.3g ns", s * 1e9)
	if (s < 1e-3) return sprintf("%.3g µs", s * 1e6)
	return sprintf("%.3g ms", s * 1e3)
}
function row(a, b, c, d, e, f, g) {
	print "| " pad(a, 16) " | " pad(b, 14) " | " pad(c, 22) " | " pad(d, 22) " | " pad(e, 18) " | " pad(f, 18) " | " pad(g, 16) " |"
}
# Some awks count the bytes of µ, others its one character.
function pad(text, width) { return sprintf("%-" (width + (text ~ /µ/) * (length("µ") - 1)) "s", text) }
