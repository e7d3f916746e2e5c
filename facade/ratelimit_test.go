package facade_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
)

const (
	headerLimit     = "X-RateLimit-Limit"
	headerRemaining = "X-RateLimit-Remaining"
	headerReset     = "X-RateLimit-Retry-After"
)

// A proxy that garbles these headers must not make a failure of a success.
func TestRateLimitGarbled(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		headers []string
	}{
		{"words", []string{headerLimit, "many", headerRemaining, "some", headerReset, "soon"}},
		{"empty", []string{headerLimit, "", headerRemaining, "", headerReset, ""}},
		{"negative", []string{headerLimit, "-100", headerRemaining, "-1", headerReset, "-1"}},
		{"signed", []string{headerLimit, "+100", headerRemaining, "+1", headerReset, "+1"}},
		{"floats", []string{headerLimit, "100.0", headerRemaining, "1.0", headerReset, "1.0"}},
		{"more than 31 bits", []string{headerLimit, "2147483648", headerRemaining, "1", headerReset, "1"}},
		{"in another manner", []string{headerLimit, "100, 100;w=60", headerRemaining, "1", headerReset, "1"}},
		{"digits beyond ASCII", []string{headerLimit, "١٠٠", headerRemaining, "١", headerReset, "١"}},
		{"the limit alone garbled", []string{headerLimit, "many", headerRemaining, "1", headerReset, "1"}},
		{"the remainder alone garbled", []string{headerLimit, "100", headerRemaining, "some", headerReset, "1"}},
		{"the limit missing", []string{headerRemaining, "1", headerReset, "1"}},
		{"the remainder missing", []string{headerLimit, "100", headerReset, "1"}},
		{"only the reset", []string{headerReset, "1"}},
	}
	for _, op := range operations { // 200, 201 and 204
		for _, test := range tests {
			t.Run(op.name+"/"+test.name, func(t *testing.T) {
				t.Parallel()
				headers := []string{headerLimit, "100", headerRemaining, "99"}
				client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
					for i := 0; i < len(headers); i += 2 {
						w.Header().Set(headers[i], headers[i+1])
					}
					succeed(w, r)
				})
				require.NoError(t, op.call(t.Context(), client))
				before, ok := client.RateLimit()
				require.True(t, ok)

				headers = test.headers
				require.NoError(t, op.call(t.Context(), client))
				after, ok := client.RateLimit()
				assert.True(t, ok)
				assert.Equal(t, before, after, "what was known stays")
			})
		}
	}
}

func TestRateLimitReset(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		reset []string
		want  time.Duration // from now; negative: unknown
	}{
		{"a minute at most", []string{headerReset, "60"}, time.Minute},
		{"now", []string{headerReset, "0"}, 0},
		{"the most that 31 bits hold", []string{headerReset, "2147483647"}, 2147483647 * time.Second},
		{"missing", nil, -1},
		{"garbled", []string{headerReset, "soon"}, -1},
		{"negative", []string{headerReset, "-1"}, -1},
		{"the standard header is something else", []string{"Retry-After", "60"}, -1},
	}
	for _, status := range []int{http.StatusOK, http.StatusTooManyRequests, http.StatusInternalServerError} {
		for _, test := range tests {
			t.Run(http.StatusText(status)+"/"+test.name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					const upTo, after = 3 * time.Second, 5 * time.Second
					headers := append([]string{headerLimit, "100", headerRemaining, "7"}, test.reset...)
					client := newBubbleClient(t, func(w http.ResponseWriter, r *http.Request) {
						<-time.After(upTo) // the time the answer takes counts
						answerWith(status, webhookJSON(1), headers...)(w, r)
					})
					want := facade.RateLimit{Limit: 100, Remaining: 7}
					if test.want >= 0 {
						want.Reset = time.Now().Add(upTo + test.want)
					}
					_, err := client.GetWebhook(t.Context(), "w")
					<-time.After(after) // the time that passes afterwards doesn't
					got, ok := client.RateLimit()
					require.True(t, ok)
					assert.True(t, want.Reset.Equal(got.Reset), "%s, not %s", got.Reset, want.Reset)
					assert.Equal(t, test.want < 0, got.Reset.IsZero())
					assert.Equal(t, want.Limit, got.Limit)
					assert.Equal(t, want.Remaining, got.Remaining)
					if status != http.StatusOK {
						assert.Equal(t, got, asError(t, err).RateLimit)
					}
				})
			})
		}
	}
}

func TestErrorRateLimit(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		headers []string
		want    facade.RateLimit
	}{
		{"told", []string{headerLimit, "40", headerRemaining, "0"}, facade.RateLimit{Limit: 40}},
		{"not told", nil, facade.RateLimit{}},
		{"garbled", []string{headerLimit, "40", headerRemaining, "none"}, facade.RateLimit{}},
	}
	for _, test := range tests {
		for _, status := range []int{200, 302, 404, 429, 503} {
			t.Run(test.name+"/"+http.StatusText(status), func(t *testing.T) {
				t.Parallel()
				e := getError(t, answerWith(status, "<html>", test.headers...))
				assert.Equal(t, test.want, e.RateLimit, "of this answer alone")
			})
		}
	}
}
