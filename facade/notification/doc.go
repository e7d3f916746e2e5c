// Package notification receives what api.video sends to a webhook's url: it
// verifies the signature, decodes the event and answers.
//
//	verifier, err := notification.NewVerifier(notification.ClientSecrets(client))
//	if err != nil {
//		return err
//	}
//	mux.Handle("/apivideo", notification.NewHandler(verifier,
//		func(ctx context.Context, n *notification.Notification) error {
//			switch e := n.Event.(type) {
//			case *notification.VideoEncodingQualityCompleted:
//				return publish(ctx, e.VideoID, e.Quality)
//			default:
//				return nil // not of interest, or not known here
//			}
//		}))
//
// # What is sent
//
// A notification is a POST of JSON with two headers: the id of the webhook it is
// for, and a signature, the HMAC-SHA256 of the body under the webhook's secret.
// Nothing numbers deliveries. A [Notification] has its Event typed if the type is
// one of six; types, members and values that aren't known here pass, and Raw has
// the whole of it.
//
// A status up to 299 takes it; what gets another one is sent three times more,
// three seconds apart, and then it is gone: a receiver that is down for longer
// than that loses it. Whether an answer got lost the service can't know, so the
// same notification may come twice, even at once.
//
// # Verify
//
// A [Verifier] refuses what isn't signed with one of the secrets that its
// [SecretSource] gives for the webhook. [StaticSecrets] are known beforehand,
// [ClientSecrets] asks the API for those of all webhooks. In this order the body is
// bounded (1 MiB, [WithMaxBody]), the headers are looked at, the secret is asked
// for, the signature is compared in constant time, and only then the body is
// parsed. It fails closed: without a secret nothing passes.
//
//	errors.Is(err, ...)   means
//	ErrTooLarge           the body is over the bound
//	ErrUnsigned           there is no signature
//	ErrNoSecret           there is no secret for the webhook
//	ErrBadSignature       no secret has signed these bytes
//	ErrStale              it is too old, or from the future, see WithMaxAge
//	ErrMalformed          it is signed, and no notification
//	any other             the SecretSource failed
//
// The signature covers the body alone, neither the webhook's id nor the time of
// the delivery: who has recorded a notification can send it again. [WithMaxAge]
// bounds for how long and [WithDeduplicator] how often it is handled. With
// StaticSecrets the id can be made up as well, which makes it another notification
// to a deduplicator; ClientSecrets ties it to the secret.
//
// The service has no operation that changes a secret. A second webhook takes over,
// and both secrets hold until the first is deleted: see the example Rotation.
//
// # Handle
//
// [NewHandler] verifies and answers, 202 only once the function returned nil. The
// sender never learns why it was refused, the logger does, [WithHandlerLogger].
// For other servers and queues there are [Verifier.Verify], which needs the header
// and the exact bytes that came, and [Decode] for bytes that were verified before.
//
// [Sign] makes what a test needs to send notifications itself.
//
// # Bounds
//
// A request under way holds a few times the body's bound at most. How many there
// are at once is for the http.Server or its listener to limit, and so are
// deadlines. A Verifier holds what 1,024 secrets need, ClientSecrets the secrets of
// 10,000 webhooks and a deduplicator in memory as much as it is told.
//
// An unknown id costs the API one listing in 30 seconds at most, see ClientSecrets
// for what that means for webhooks that are created meanwhile. Its request waits
// with its body while the listing runs, up to 10 seconds.
package notification
