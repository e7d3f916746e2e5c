// Package notification receives the notifications of api.video webhooks. It
// verifies the signature, decodes the event and responds.
//
//	verifier, err := notification.NewVerifier(notification.ClientSecrets(client),
//		notification.WithMaxAge(5*time.Minute))
//	if err != nil {
//		return err
//	}
//	mux.Handle("/apivideo", notification.NewHandler(verifier,
//		func(ctx context.Context, n *notification.Notification) error {
//			switch e := n.Event.(type) {
//			case *notification.VideoEncodingQualityCompleted:
//				return publish(ctx, e.VideoID, e.Quality)
//			default:
//				return nil // another event, or an unknown type
//			}
//		},
//		notification.WithDeduplicator(notification.NewMemoryDeduplicator(10*time.Minute, 100_000)),
//	))
//
// # Replays and duplicates
//
// The signature covers the body, but not the webhook ID or the time of delivery.
// By default a Verifier accepts an event of any age: a notification of 2019 is
// valid today, and an attacker can replay a recorded request forever. [WithMaxAge]
// rejects events that are too old. [WithDeduplicator] handles a notification once
// within that time. Its memory should last twice as long as the maximum age,
// because emittedAt may also be in the future.
//
// A deduplicator also handles the redeliveries of the service, which are frequent
// without any attacker. Processes that serve the same URL need a common store. See
// the example of [Deduplicator].
//
// # Notifications
//
// A notification is a POST request with a JSON body and two headers, the webhook ID
// and the signature. A status up to 299 acknowledges it. After any other status the
// service retries three times, three seconds apart. Then the event is lost. A
// receiver that is down for ten seconds loses events.
//
// Every authentic JSON object with a type reaches the function. Fields that are
// missing or unreadable are zero, and an unknown type has a nil Event. Raw has the
// whole body.
//
// # Verifying
//
// A [Verifier] rejects everything without a signature by a secret of its
// [SecretSource]. [StaticSecrets] has fixed secrets. [ClientSecrets] gets them from
// the API. Nothing of the body is parsed before the signature is verified.
//
//	errors.Is(err, ...)   means
//	ErrTooLarge           the body is longer than the limit
//	ErrUnsigned           the signature is missing
//	ErrBadSignature       the signature is malformed, matches no secret, or occurs twice
//	ErrNoSecret           the webhook has no secret
//	ErrMalformed          the signed body is not a JSON object with a type
//	ErrStale              the event is too old or in the future, see WithMaxAge
//	any other             the SecretSource failed
//
// With StaticSecrets an attacker can also change the webhook ID of a recorded
// notification, so that it is not a duplicate. With ClientSecrets the ID belongs to
// the secret.
//
// # Secrets from the API
//
// [ClientSecrets] lists the webhooks of the account and caches their secrets:
//
//   - An unknown webhook ID causes a listing, at most once in 5 seconds. The
//     retries of the service succeed for a webhook that is newer than the list.
//   - A list that is older than 10 minutes is refreshed in the background when a
//     notification arrives. The secrets of deleted webhooks are invalid afterwards.
//   - After a failed listing the next one is possible after a second, and after
//     several failures in a row after 5 seconds. A longer Retry-After in the response
//     takes precedence. The known secrets stay valid. An unknown ID gets the error,
//     and the service retries.
//   - [CachedSecrets.Refresh] lists at once. Call it when the program starts, and
//     after it has created or deleted a webhook.
//
// There is one listing at a time. It takes at most 10 seconds. A function of a cloud
// provider may have no processor between requests, so that a refresh in the background
// fails. Use [StaticSecrets] there, or call Refresh within a request.
//
// The service has no operation that changes a secret. To replace one, create a
// second webhook and delete the first one afterwards. See the example Rotation.
//
// # Handling
//
// [NewHandler] verifies a request, calls a function and responds. The reason for a
// rejection is logged by [WithHandlerLogger] and not sent to the client. The
// timeout of the service is unknown, so work of more than a few seconds belongs in
// a queue. [Decode] reads a body out of a queue.
//
// Servers with their own responses call [Verifier.VerifyRequest] and [StatusCode].
// [Verifier.Verify] is for functions of cloud providers. It needs the headers, in
// any spelling, and the exact bytes of the body. [Notification.ID] is the key for
// deduplication in all of them.
//
// # Limits
//
// A request in flight uses at most a few times the limit of the body, 1 MiB by
// default. The http.Server limits the number of requests and their duration. A
// Verifier caches HMACs of 256 secrets for each processor, and ClientSecrets the
// secrets of 10,000 webhooks.
package notification
