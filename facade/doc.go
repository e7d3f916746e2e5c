// Package facade is a client for the webhooks of api.video: it creates, gets,
// deletes and lists them.
//
//	client, err := facade.NewClient(os.Getenv("APIVIDEO_API_KEY"))
//	if err != nil {
//		return err
//	}
//	wh, err := client.CreateWebhook(ctx, facade.CreateWebhookParams{
//		URL:    "https://hooks.example.com/apivideo",
//		Events: []facade.EventType{facade.EventVideoEncodingQualityCompleted},
//	})
//
// A [Client] is safe for concurrent use and meant to be kept for the life of a
// program. [NewClient] talks to production with Basic authentication; options
// choose the sandbox, bearer tokens, another server, an http client, a timeout,
// a retry policy or a logger.
//
// # What there should be
//
// [Client.EnsureWebhook] returns the webhook of a url with exactly some events, and
// creates it if there is none, so that a program can call it whenever it starts.
// [Client.PlanWebhooks] compares all that there should be with what there is, and
// [Client.ApplyPlan] makes the one into the other. After an error, call
// EnsureWebhook again, or plan and apply anew: that finishes the work, also beside
// other programs that do the same.
//
// # Lists
//
// [Client.Webhooks] ranges over all webhooks, each exactly once, also while
// others are created and deleted, as far as page counts can show.
// [Client.ListWebhooks] gets a single page and [Client.WebhookPages] ranges over
// pages as the service serves them. [Collect] turns an iterator into a slice.
//
// # Errors
//
// An argument that can't be right is [ErrInvalidArgument], and nothing was sent.
// Every other failure of a method is an [*Error], with the status, what the
// service said and how long it asks to wait. errors.Is tells the cases apart:
//
//	switch {
//	case errors.Is(err, facade.ErrNotFound):
//		// there is no such webhook
//	case errors.Is(err, facade.ErrTooManyRequests):
//		// errors.As gives the *Error, its RetryAfter how long to wait
//	case errors.Is(err, facade.ErrUnconfirmed):
//		// created or not? look before creating it again, as EnsureWebhook does
//	case errors.Is(err, context.DeadlineExceeded):
//		// the context's deadline, or the timeout of the attempt
//	}
//
// # Credentials and transport
//
// Basic authentication sends the API key with each request. With
// [WithTokenExchange] it is sent only to be exchanged for tokens that last an
// hour, and those authenticate the requests.
//
// A proxy, certificates of an authority of one's own, limits of connections and
// tracing, OpenTelemetry's for instance, belong into the transport of the http
// client that [WithHTTPClient] is given; its examples show each. [WithLogger]
// tells of requests and repetitions without headers and bodies.
//
// # What it keeps to
//
// A request is tried up to four times, see [RetryPolicy], as long as that can't
// do anything twice. A create is repeated only after a 429, once after a 401 that
// another token may mend, or if there was no connection or no token, so that not
// a byte of it was written. Get, list and delete are also repeated after 408, 500
// to 599, and when the transport fails, in the middle of the body too. A delete
// that meets 404 after an attempt which may have reached the service has
// succeeded. After a 429 the wait is what the service asks for and a little more;
// otherwise it is a random part of a bound that doubles. A wait longer than a
// minute, or than the context allows, isn't slept: the error comes back at once.
//
// An attempt takes 30 seconds at most, see [WithTimeout]; the context of a call
// ends all of them. A body is read up to 10 MiB, that of an error up to 64 KiB,
// and what is larger is an error rather than cut. Answers that aren't what they
// should be, HTML with a 200 for instance, are [ErrUnexpectedResponse].
//
// The API key goes over https only, or over http to this machine. Redirects are
// refused unless an http client with a redirect policy is given, and then the
// key stays with scheme, host and port. No key and no signature secret shows up
// in an error, in a log or in anything that package fmt prints; see [Secret].
//
// # Beyond
//
// [Client.Raw] is the client generated from the contract, for edge cases. Package
// notification in the folder below receives what the service sends to a webhook's
// url, and package facadetest is an api.video to test against.
package facade
