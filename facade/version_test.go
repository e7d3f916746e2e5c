package facade_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
)

// The service drops what doesn't look like this, without an error.
const originFormat = `^[A-Za-z0-9_-]{1,50}:[0-9]{1,3}(\.[0-9]{1,3}){0,2}$`

func TestVersionAsTheServiceTakesIt(t *testing.T) {
	t.Parallel()
	transport := new(recorder)
	client, err := facade.NewClient(testKey, once, facade.WithHTTPClient(&http.Client{Transport: transport}))
	require.NoError(t, err)
	get(t, client)
	header := transport.requests[0].Header
	origin := header.Get("AV-Origin-Client")
	assert.Regexp(t, originFormat, origin)
	// Semantic versions have all three numbers and no leading zeros.
	require.Regexp(t, `^webhooks-go:(0|[1-9][0-9]{0,2})(\.(0|[1-9][0-9]{0,2})){2}$`, origin)
	assert.Equal(t, "apivideo-webhooks-go/"+origin[len("webhooks-go:"):], header.Get("User-Agent"), "one version everywhere")
}
