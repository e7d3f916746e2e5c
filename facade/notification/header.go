package notification

import (
	"net/http"
	"slices"
	"strings"
)

// The headers of a notification. Upper and lower case are equal in both names.
const (
	// HeaderWebhookID contains the ID of the webhook.
	HeaderWebhookID = "X-Api-Video-WebhookID"
	// HeaderSignature contains the result of Sign for the body.
	HeaderSignature = "X-Api-Video-Signature"
)

// The keys of a header from net/http.
var (
	webhookIDKey = http.CanonicalHeaderKey(HeaderWebhookID)
	signatureKey = http.CanonicalHeaderKey(HeaderSignature)
)

// deliveryHeaders returns all values of both headers, in any spelling of the keys.
// Literals and the maps of gateways have other keys than net/http.
func deliveryHeaders(header http.Header) (ids, signatures []string) {
	ids, signatures = header[webhookIDKey], header[signatureKey]
	if len(header) == 2 && ids != nil && signatures != nil {
		return ids, signatures // an iteration would cost a third of an HMAC
	}
	for key, values := range header {
		switch {
		case key == webhookIDKey || key == signatureKey:
		case equalName(key, HeaderWebhookID):
			ids = concat(ids, values)
		case equalName(key, HeaderSignature):
			signatures = concat(signatures, values)
		}
	}
	return ids, signatures
}

// equalName compares the length, because EqualFold equates some letters beyond
// ASCII with shorter ones.
func equalName(key, name string) bool {
	return len(key) == len(name) && strings.EqualFold(key, name)
}

// concat returns the values of a and b. The memory of a stays unchanged.
func concat(a, b []string) []string {
	if len(a) == 0 {
		return b
	}
	return append(slices.Clip(a), b...)
}
