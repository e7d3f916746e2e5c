package facade

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/apivideo-community/webhooks-go/gen"
)

// logDoer tells the logger of each exchange, headers and bodies never.
type logDoer struct {
	next   gen.HttpRequestDoer
	logger *slog.Logger
}

func (d *logDoer) Do(req *http.Request) (*http.Response, error) {
	if !d.logger.Enabled(req.Context(), slog.LevelDebug) {
		return d.next.Do(req)
	}
	start := time.Now()
	resp, err := d.next.Do(req)
	attrs := []slog.Attr{
		slog.String("method", req.Method),
		slog.String("path", req.URL.EscapedPath()),
		slog.String("query", req.URL.RawQuery),
		slog.Duration("duration", time.Since(start)),
	}
	if resp != nil {
		attrs = append(attrs, slog.Int("status", resp.StatusCode))
	}
	if err != nil {
		attrs = append(attrs, errorAttr(err))
	}
	d.logger.LogAttrs(req.Context(), slog.LevelDebug, "apivideo: request", attrs...)
	return resp, err
}

// logRetry tells why a request is sent again, and when.
func logRetry(logger *slog.Logger, req *http.Request, o outcome, wait time.Duration) {
	if !logger.Enabled(req.Context(), slog.LevelDebug) {
		return
	}
	attrs := []slog.Attr{
		slog.String("method", req.Method),
		slog.String("path", req.URL.EscapedPath()),
		slog.Int("attempt", triesOf(req.Context()).n),
		slog.Int("status", o.status),
		slog.Duration("wait", wait),
	}
	if o.err != nil {
		attrs = append(attrs, errorAttr(o.err))
	}
	logger.LogAttrs(req.Context(), slog.LevelDebug, "apivideo: retry", attrs...)
}

// errorAttr is an error as a log gets it: one line of bounded length.
func errorAttr(err error) slog.Attr {
	return slog.String("error", printable(clip(err.Error(), 1000)))
}
