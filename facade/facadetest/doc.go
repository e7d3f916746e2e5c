// Package facadetest is an api.video server in memory, for tests of programs
// that manage webhooks or receive from them.
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
// [Server.Deliver] lets an event happen: its notification goes, signed and with
// the service's retries, to whoever is subscribed. [NewNotificationRequest] makes
// a notification for a handler to be called with, without any server.
//
// Like the real one it has limits, and a test that goes over them meets them: ten
// webhooks ([WithWebhookLimit]), 100 reads and 40 writes a minute
// ([WithRateLimit]; after a 429 a client waits for the minute to end), a delivery
// that fails tried three times more, three seconds apart ([WithDeliveryRetries]).
// [WithClock] lets time pass.
//
// Not all is known of the service. The order of lists and the answer for a page
// beyond the end are options here; a program that works with each of their
// values doesn't depend on a guess. Elsewhere the server does one of the things
// that the service may do. A wrong key at /auth/api-key, for one, is answered
// with 401, never with 400. A [Fault] makes it answer otherwise.
package facadetest
