package bench_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// floorClient is a handwritten client with a timeout, a limit on the body and a
// check of the status.
type floorClient struct {
	client http.Client
	url    string
}

type floorCreation struct {
	URL    string   `json:"url"`
	Events []string `json:"events"`
}

type floorWebhook struct {
	WebhookID       string    `json:"webhookId"`
	CreatedAt       time.Time `json:"createdAt"`
	Events          []string  `json:"events"`
	URL             string    `json:"url"`
	SignatureSecret string    `json:"signatureSecret"`
}

type floorList struct {
	Data       []floorWebhook `json:"data"`
	Pagination struct {
		CurrentPage int `json:"currentPage"`
		PageSize    int `json:"pageSize"`
		PagesTotal  int `json:"pagesTotal"`
		ItemsTotal  int `json:"itemsTotal"`
	} `json:"pagination"`
}

func newFloorClient(url string, transport http.RoundTripper) (client, error) {
	return &floorClient{client: http.Client{Transport: transport, Timeout: 30 * time.Second}, url: url}, nil
}

func (f *floorClient) get(ctx context.Context) (string, error) {
	var wh floorWebhook
	err := f.do(ctx, http.MethodGet, "/webhooks/"+webhookID, nil, http.StatusOK, &wh)
	return wh.URL, err
}

func (f *floorClient) create(ctx context.Context) (string, error) {
	var wh floorWebhook
	in := floorCreation{URL: webhookURL, Events: []string{"video.encoding.quality.completed"}}
	err := f.do(ctx, http.MethodPost, "/webhooks", in, http.StatusCreated, &wh)
	return wh.URL, err
}

func (f *floorClient) list(ctx context.Context) (int, error) {
	list, err := f.page(ctx, 1)
	return len(list.Data), err
}

func (f *floorClient) iterate(ctx context.Context) (int, error) {
	n := 0
	for number, last := 1, 1; number <= last; number++ {
		list, err := f.page(ctx, number)
		if err != nil {
			return n, err
		}
		n += len(list.Data)
		last = list.Pagination.PagesTotal
	}
	return n, nil
}

func (f *floorClient) page(ctx context.Context, number int) (list floorList, err error) {
	err = f.do(ctx, http.MethodGet, "/webhooks?currentPage="+strconv.Itoa(number)+"&pageSize="+strconv.Itoa(pageSize), nil, http.StatusOK, &list)
	return list, err
}

func (f *floorClient) do(ctx context.Context, method, path string, in any, want int, out any) error {
	var body io.Reader
	if in != nil {
		buf, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(buf)
	}
	req, err := http.NewRequestWithContext(ctx, method, f.url+path, body)
	if err != nil {
		return err
	}
	req.SetBasicAuth("key", "")
	req.Header.Set("Accept", "application/json")
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	buf, err := io.ReadAll(io.LimitReader(resp.Body, 10<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode != want {
		return fmt.Errorf("%s: %s", resp.Status, buf)
	}
	return json.Unmarshal(buf, out)
}
