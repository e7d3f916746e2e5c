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
	start := time.Now()
	resp, err := d.next.Do(req)
	attrs := []slog.Attr{
		slog.String("method", req.Method),
		slog.String("path", req.URL.EscapedPath()),
		slog.String("query", req.URL.RawQuery),
		slog.Duration("duration", time.Since(start)),
	}
	if err != nil {
		attrs = append(attrs, slog.String("error", err.Error()))
	} else {
		attrs = append(attrs, slog.Int("status", resp.StatusCode))
	}
	d.logger.LogAttrs(req.Context(), slog.LevelDebug, "apivideo: request", attrs...)
	return resp, err
}
