module github.com/apivideo-community/webhooks-go/cmd/apivideo-webhooks

go 1.26.0

require (
	github.com/agnivade/levenshtein v1.2.2
	github.com/apivideo-community/webhooks-go v0.0.0
	github.com/fatih/color v1.19.0
	github.com/gofrs/flock v0.13.2
	github.com/mattn/go-isatty v0.0.24
	github.com/rogpeppe/go-internal v1.16.0
	github.com/spf13/cobra v1.10.2
	github.com/stretchr/testify v1.12.1
	go.yaml.in/yaml/v3 v3.0.6
)

require (
	github.com/apapsch/go-jsonmerge/v2 v2.0.0 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/inconshreveable/mousetrap v1.1.0 // indirect
	github.com/mattn/go-colorable v0.1.14 // indirect
	github.com/oapi-codegen/runtime v1.8.0 // indirect
	github.com/spf13/pflag v1.0.9 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/tools v0.48.0 // indirect
)

replace github.com/apivideo-community/webhooks-go => ../..
