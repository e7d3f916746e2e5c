package notification

import (
	"net/http"
	"strings"
)

// The headers of a notification. Upper and lower case are equal in both names.
const (
	// HeaderWebhookID contains the ID of the webhook.
	HeaderWebhookID = "X-Api-Video-WebhookID"
	// HeaderSignature contains the result of Sign for the body.
	HeaderSignature = "X-Api-Video-Signature"
)

// headersOf returns all values of both headers. Keys need not be canonical,
// because literals and the maps of gateways are not. The length is compared too,
// because EqualFold also equates letters beyond ASCII.
func headersOf(header http.Header) (ids, signatures []string) {
	for key, values := range header {
		switch {
		case len(key) == len(HeaderWebhookID) && strings.EqualFold(key, HeaderWebhookID):
			ids = join(ids, values)
		case len(key) == len(HeaderSignature) && strings.EqualFold(key, HeaderSignature):
			signatures = join(signatures, values)
		}
	}
	return ids, signatures
}

// join appends without a change of a. It allocates only if both have values.
func join(a, b []string) []string {
	if len(a) == 0 {
		return b
	}
	return append(a[:len(a):len(a)], b...)
}
