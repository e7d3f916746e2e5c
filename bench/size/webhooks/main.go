// Command webhooks prints the URL of a webhook with the facade package.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/apivideo-community/webhooks-go/facade"
)

const id = "webhook_4XbQpGz7mWkT2nVr8sYcLd"

func main() {
	client, err := facade.NewClient(os.Getenv("APIVIDEO_API_KEY"))
	if err != nil {
		fail(err)
	}
	wh, err := client.GetWebhook(context.Background(), id)
	if err != nil {
		fail(err)
	}
	fmt.Println(wh.URL)
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
