// Package bench measures this module beside others that do the same, and beside
// what a careful caller would write by hand. It is a module of its own, so that
// nobody else gets theirs.
//
// Every benchmark comes in variants, which benchstat makes columns of: via=floor
// is written by hand, via=gen is the generated client alone, via=facade is this
// module, via=stripe and via=svix are the libraries of those, and via=hmac is the
// signature's HMAC and nothing else.
//
// The folder size has one program three times, to compare the sizes of.
package bench
