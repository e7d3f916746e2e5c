// Command gen prints the URL of a webhook with the generated client.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/apivideo-community/webhooks-go/gen"
)

const id = "webhook_4XbQpGz7mWkT2nVr8sYcLd"

func main() {
	client, err := gen.NewClientWithResponses("https://ws.api.video",
		gen.WithHTTPClient(&http.Client{Timeout: 30 * time.Second}),
		gen.WithRequestEditorFn(func(_ context.Context, req *http.Request) error {
			req.SetBasicAuth(os.Getenv("APIVIDEO_API_KEY"), "")
			return nil
		}))
	if err != nil {
		fail(err)
	}
	resp, err := client.GetWebhookWithResponse(context.Background(), id)
	if err != nil {
		fail(err)
	}
	if resp.JSON200 == nil {
		fail(errors.New(resp.Status()))
	}
	fmt.Println(resp.JSON200.URL)
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
