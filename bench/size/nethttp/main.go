// Command nethttp prints the URL of a webhook with net/http.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

const id = "webhook_4XbQpGz7mWkT2nVr8sYcLd"

func main() {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "https://ws.api.video/webhooks/"+id, http.NoBody)
	if err != nil {
		fail(err)
	}
	req.SetBasicAuth(os.Getenv("APIVIDEO_API_KEY"), "")
	client := http.Client{Timeout: 30 * time.Second}
	resp, err := client.Do(req)
	if err != nil {
		fail(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 10<<20))
	if err != nil {
		fail(err)
	}
	if resp.StatusCode != http.StatusOK {
		fail(errors.New(resp.Status))
	}
	var wh struct {
		URL string `json:"url"`
	}
	if err := json.Unmarshal(body, &wh); err != nil {
		fail(err)
	}
	fmt.Println(wh.URL)
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
