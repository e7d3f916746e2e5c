// Package webhooks contains documentation only. The packages of this module are:
//
//   - [github.com/apivideo-community/webhooks-go/facade], the client for webhooks
//   - [github.com/apivideo-community/webhooks-go/facade/notification], the receiver
//   - [github.com/apivideo-community/webhooks-go/facade/facadetest], a fake server
//   - [github.com/apivideo-community/webhooks-go/gen], the generated client
//
// Begin with go doc github.com/apivideo-community/webhooks-go/facade, or with the
// README.
package webhooks
