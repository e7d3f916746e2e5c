package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestRedactURL(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"https://hooks.example.com/a?b=c@d":      "https://hooks.example.com/a?b=c@d",
		"https://user@hooks.example.com":         "https://user@hooks.example.com",
		"https://user:hunter2@hooks.example.com": "https://user:xxxxx@hooks.example.com",
		"user:hunter2@hooks.example.com":         "…@hooks.example.com",
		"//user:hunter2@hooks.example.com":       "//user:xxxxx@hooks.example.com",
		"https://user:hun ter2@hooks example":    "…@hooks example",
		"https://user:%zz@a@hooks.example.com":   "…@hooks.example.com",
		"hooks.example.com":                      "hooks.example.com",
	} {
		assert.Equal(t, want, redactURL(raw), raw)
	}
}

// Texts of a receiver or a service cannot change the terminal.
func TestOneLine(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "a b\ufffd[31m \ufffdc", oneLine(" a\n\tb\x1b[31m \u202ec\r\n"))
}
