// Package facade is a client for the webhooks of api.video.
//
//	client, err := facade.NewClient(os.Getenv("APIVIDEO_API_KEY"))
//	if err != nil {
//		return err
//	}
//	wh, _, err := client.EnsureWebhook(ctx, facade.CreateWebhookParams{
//		URL:    "https://hooks.example.com/apivideo",
//		Events: []facade.EventType{facade.EventVideoEncodingQualityCompleted},
//	})
//
// [NewClient] returns a [Client] for production with Basic authentication. Options
// select the sandbox, bearer tokens, another server, a transport, a timeout, a retry
// policy or a logger. A Client is safe for concurrent use.
//
// Package notification receives the notifications of webhooks. Package facadetest
// provides a fake server for tests. [Client.Raw] returns the generated client for
// edge cases.
//
// # Authentication
//
// Basic authentication sends the API key with each request. With [WithTokenExchange]
// the key is sent only to get an access token, which authenticates the requests for
// an hour. A call in the last minute before the expiry renews the token in the
// background. At most one token request is in flight. It has the timeout of an attempt
// and does not end with the context of a caller. A failed token request fails the call
// with an [Error] whose Op is "CreateAccessToken" or "RefreshAccessToken". A 401 causes
// one more attempt with a new token.
//
// The API key is sent over https, or over http to this machine or with
// [WithPlainHTTP]. Redirects are never followed. No error, log or output of package fmt
// contains a key, a token or a signature secret, see [Secret]. Keys and tokens under 16
// bytes are not redacted, because such a text may occur by chance.
//
// # Retries
//
// A request has at most four attempts, with exponential backoff and full jitter; see
// [RetryPolicy]. Get, list and delete are idempotent. They are retried after 408,
// 429, 5xx, a transport error and an incomplete body. A 404 for a delete is a
// success after an attempt that may have deleted the webhook.
//
// A create is not idempotent. It is retried only if the service cannot have
// processed it. This is so after a 429, after a 401 with [WithTokenExchange], and after
// a connection error before the request was written. net/http retries requests on its
// own. The client prevents this for a create whose request may have been processed,
// over HTTP/1 and HTTP/2.
//
// After a 429 the delay is the one in X-RateLimit-Retry-After or Retry-After, after a
// 503 the one in Retry-After. A request is not retried if the delay exceeds
// [RetryPolicy].MaxDelay or the deadline of the context. [Error].RetryAfter then has
// the delay. Each retry is logged at warn level; see [WithLogger].
//
// An attempt takes at most 30 seconds; see [WithTimeout]. A response body has at most
// 10 MiB, or 64 KiB for an error. A larger body is an error.
//
// # Errors
//
// An invalid argument is [ErrInvalidArgument], and no request is sent. Every other
// failure is an [*Error] with the status, the description by the service and the
// number of attempts:
//
//	switch {
//	case errors.Is(err, facade.ErrNotFound):
//		// there is no such webhook
//	case errors.Is(err, facade.ErrTooManyRequests):
//		// errors.As returns the *Error, which has RetryAfter
//	case errors.Is(err, facade.ErrUnconfirmed):
//		// the webhook may exist: look for it, as EnsureWebhook does
//	case errors.Is(err, context.DeadlineExceeded):
//		// the deadline of the context, or the timeout of an attempt
//	}
//
// The error of [Client.CreateWebhook] is [ErrUnconfirmed] after a lost connection, a
// timeout, a 3xx, a 408, a 5xx, and a 2xx without a readable webhook. Every other
// error means that no webhook was created.
//
// Responses are read leniently. A field of another JSON type and a date that cannot
// be parsed are zero, and unknown fields and events are accepted. Only the ID of a
// webhook and sound page numbers are required.
//
// # Pagination
//
// [Client.Webhooks] iterates over all webhooks, and [Client.ListWebhooks] returns a
// single page. [Collect] turns an iterator into a slice.
//
// Webhooks move between pages when others are created or deleted. An iteration
// therefore scans a list of several pages until two scans contain the same webhooks.
// It costs one request for fewer than 100 webhooks, and else at least two for each
// 100. Each webhook is yielded when a scan first finds it. Nothing is fetched ahead.
// A webhook that is created or deleted during the iteration may be yielded or not.
//
// # Desired state
//
// The service has no operation to change a webhook. [Client.EnsureWebhook] returns
// the webhook of a URL with exactly the given events, or creates it, so that a
// program can call it at each start. [Client.PlanWebhooks] compares all desired
// webhooks with the existing ones, and [Client.ApplyPlan] creates and deletes the
// difference.
//
// EnsureWebhook needs one request if the webhook exists and two if not. It needs one
// more request if the service omits the signature secret. If the secret is omitted
// again, it is zero. After ErrUnconfirmed and [ErrWebhookLimitReached] it lists the
// webhooks once more, and returns the webhook if it exists. After ErrUnconfirmed
// created is then true, although a concurrent client may have created it. If the
// list fails, the error wraps both errors.
//
// If the service stores another URL or other events, for example with a slash at the
// end, the error is [ErrUnexpectedResponse]. Use the stored values from then on,
// because each call with the old ones creates another webhook.
//
// A plan is based on one listing, so apply it once and soon. A create that was
// ambiguous may appear after the listing. The next plan deletes the duplicate. After
// ErrUnconfirmed the webhook in question is the first of Applied.Remaining.Create.
// After ErrUnexpectedResponse it is the last of Applied.Created.
//
// Concurrent programs may ensure, plan and apply the same desired webhooks. Each may
// create a duplicate, which causes duplicate notifications for a while. After all
// have finished, one more plan and apply leaves exactly the desired webhooks. If an
// error occurred or the account is full, run these last ones one after the other.
// Take signature secrets from Applied.Remaining.Keep of the last run, because it
// decides which duplicate stays.
package facade
