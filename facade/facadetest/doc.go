// Package facadetest is an api.video server in memory, for tests of programs
// that manage webhooks.
//
//	server := facadetest.NewServer()
//	defer server.Close()
//	client := server.Client()
//
// It is spoken to over HTTP like the real service and keeps what it is told
// until it is closed: webhooks, tokens, rate limits. [Server.Requests] tells what
// arrived, [Server.Webhooks] what became of it. [Server.Inject] makes things go
// wrong: late answers, errors, garbage, lost connections.
//
// Where it isn't known how the service behaves, the server has an option, and
// its documentation says so. A program that works with each of its values
// doesn't depend on a guess.
package facadetest
