// Package facadetest provides a fake api.video server in memory, for tests of
// programs that manage or receive webhooks.
//
//	server := facadetest.NewServer()
//	defer server.Close()
//	client := server.Client()
//
// The server speaks HTTP like the service, with webhooks, tokens and rate limits.
// [Server.Webhooks] returns its state and [Server.Requests] the requests that it
// received. [Server.Inject] adds faults such as late responses, errors, garbage and
// lost connections. [Server.Reset] restores the initial state for another test.
//
// # Notifications
//
// [Server.Deliver] sends the notification of an event to each subscribed
// webhook, with the signature and the retries of the service. A status below 300
// is success. Any other result is retried with the same bytes. Deliver sends real
// requests to the URLs of the webhooks, see [WithDeliveryClient].
//
// The event is an event type of package notification, such as
// [notification.VideoSummaryGenerated], or a pointer to one. A []byte or
// [encoding/json.RawMessage] is sent unchanged, for events that the structs cannot
// express. It must begin with a JSON object that has a type.
//
// An empty Type is replaced by the type of the struct. A zero EmittedAt is replaced
// by the time of the server's clock, and by another time in each call of Deliver.
// Two calls therefore deliver two different events. Set EmittedAt to deliver a
// duplicate. Inside testing/synctest the clock shows the year 2000. A receiver
// outside the bubble with [notification.WithMaxAge] needs an EmittedAt, too.
//
// [NewNotificationRequest] makes a notification for a direct call of a handler.
// [CheckDeduplicator] checks an implementation of [notification.Deduplicator].
//
// # Limits
//
// The defaults are the limits of the service:
//
//   - 10 webhooks ([WithWebhookLimit])
//   - 100 reads and 40 writes per minute, as in the sandbox ([WithRateLimit])
//   - 3 retries of a failed delivery, 3 seconds apart ([WithDeliveryRetries])
//   - the six events of the contract ([WithUnknownEvents])
//
// [WithClock] sets the clock for rate limits and tokens, so that a test can move
// the time forward.
//
// # Differences from the service
//
// Some behavior of the service is not documented. The order of a list and the
// response for a page beyond the end are options here. A program that passes its
// tests with each value of these options is independent of both. Elsewhere the
// server has one of the documented behaviors. For example, an invalid key at
// /auth/api-key gets 401, although the service may also send 400. A [Fault]
// produces the other response.
package facadetest
