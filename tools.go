//go:build tools

// Package tools pins the code generator, so that go.mod says its version.
package tools

import _ "github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen"
