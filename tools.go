//go:build tools

package webhooks

// This import pins the version of the code generator in go.mod.
import _ "github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen"
