package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/facadetest"
	"github.com/apivideo-community/webhooks-go/facade/notification"
)

// maxControlBody limits the body of a control request.
const maxControlBody = 1 << 20

// fakeHandler serves a fake and its control endpoints.
type fakeHandler struct {
	server        *facadetest.Server
	control       *http.ServeMux
	unknownEvents bool
}

func newFakeHandler(server *facadetest.Server, unknownEvents bool) *fakeHandler {
	h := &fakeHandler{server, http.NewServeMux(), unknownEvents}
	h.control.HandleFunc("POST /_fake/deliver", h.deliver)
	h.control.HandleFunc("POST /_fake/faults", h.addFault)
	h.control.HandleFunc("GET /_fake/requests", h.listRequests)
	h.control.HandleFunc("POST /_fake/reset", h.reset)
	return h
}

func (h *fakeHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/_fake/") {
		h.control.ServeHTTP(w, r)
		return
	}
	h.server.ServeHTTP(w, r)
}

// deliveryJSON is the result of a delivery to one webhook.
type deliveryJSON struct {
	WebhookID string            `json:"webhookId"`
	URL       string            `json:"url"`
	Delivered bool              `json:"delivered"`
	Attempts  []deliveryAttempt `json:"attempts"`
}

type deliveryAttempt struct {
	Status int    `json:"status"`
	Error  string `json:"error,omitempty"`
}

// deliver sends the exact body to all subscribers and waits for their responses.
func (h *fakeHandler) deliver(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxControlBody))
	if err != nil {
		writeControlError(w, err)
		return
	}
	n, err := notification.Decode("", body)
	if err != nil {
		writeControlError(w, err)
		return
	}
	if !h.unknownEvents && !slices.Contains(facade.EventTypes(), n.Type) {
		writeControlError(w, unknownEvent(string(n.Type)))
		return
	}
	deliveries := []deliveryJSON{}
	for _, d := range h.server.Deliver(r.Context(), body) {
		view := deliveryJSON{WebhookID: d.WebhookID, URL: d.URL, Delivered: d.OK()}
		for _, t := range d.Attempts {
			attempt := deliveryAttempt{Status: t.Status}
			if t.Err != nil {
				attempt.Error = t.Err.Error()
			}
			view.Attempts = append(view.Attempts, attempt)
		}
		deliveries = append(deliveries, view)
	}
	writeControlJSON(w, http.StatusOK, deliveries)
}

// faultJSON is a fault of facadetest for requests of a method and a path.
type faultJSON struct {
	Method   string            `json:"method"`
	Path     string            `json:"path"` // a pattern of path.Match
	Times    int               `json:"times"`
	Delay    string            `json:"delay"`
	Process  bool              `json:"process"`
	Status   int               `json:"status"`
	Body     string            `json:"body"`
	Header   map[string]string `json:"header"`
	Truncate bool              `json:"truncate"`
	Infinite bool              `json:"infinite"`
	Reset    string            `json:"reset"`
}

var resets = map[string]facadetest.Reset{
	"":            facadetest.NoReset,
	"before-read": facadetest.ResetBeforeRead,
	"after-read":  facadetest.ResetAfterRead,
}

// fault returns the fault, or the reason why the fields are invalid.
func (f faultJSON) fault() (facadetest.Fault, error) {
	fault := facadetest.Fault{
		Match: func(r *http.Request) bool {
			matched, _ := path.Match(f.Path, r.URL.Path)
			return (f.Path == "" || matched) && (f.Method == "" || f.Method == r.Method)
		},
		Times: f.Times, Process: f.Process, Status: f.Status, Body: f.Body, Header: f.Header,
		Truncate: f.Truncate, Infinite: f.Infinite,
	}
	if _, err := path.Match(f.Path, ""); err != nil {
		return fault, fmt.Errorf("the path %q is not a pattern; use for example /webhooks/*", f.Path)
	}
	var ok bool
	if fault.Reset, ok = resets[f.Reset]; !ok {
		return fault, fmt.Errorf("the reset %q is unknown; use before-read or after-read", f.Reset)
	}
	if f.Delay != "" {
		var err error
		if fault.Delay, err = time.ParseDuration(f.Delay); err != nil {
			return fault, fmt.Errorf("the delay %q is invalid; use for example 1.5s", f.Delay)
		}
	}
	return fault, nil
}

func (h *fakeHandler) addFault(w http.ResponseWriter, r *http.Request) {
	var f faultJSON
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxControlBody))
	dec.DisallowUnknownFields()
	err := dec.Decode(&f)
	if _, end := dec.Token(); err == nil && !errors.Is(end, io.EOF) {
		err = errors.New("the body has more than one JSON value")
	}
	if err != nil {
		writeControlError(w, err)
		return
	}
	fault, err := f.fault()
	if err == nil {
		err = inject(h.server, fault)
	}
	if err != nil {
		writeControlError(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// inject adds a fault. For an invalid fault it returns the text of the panic.
func inject(server *facadetest.Server, fault facadetest.Fault) (err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case string:
			err = errors.New(strings.TrimPrefix(p, "facadetest: "))
		default:
			panic(p)
		}
	}()
	server.Inject(fault)
	return nil
}

// requestJSON is a request that the fake received.
type requestJSON struct {
	Method string      `json:"method"`
	Path   string      `json:"path"`
	Query  url.Values  `json:"query"`
	Header http.Header `json:"header"`
	Body   string      `json:"body"`
	Status int         `json:"status"`
}

func (h *fakeHandler) listRequests(w http.ResponseWriter, _ *http.Request) {
	requests := []requestJSON{}
	for _, r := range h.server.Requests() {
		requests = append(requests, requestJSON{r.Method, r.Path, r.Query, r.Header, string(r.Body), r.Status})
	}
	writeControlJSON(w, http.StatusOK, requests)
}

func (h *fakeHandler) reset(w http.ResponseWriter, _ *http.Request) {
	h.server.Reset()
	w.WriteHeader(http.StatusNoContent)
}

func writeControlError(w http.ResponseWriter, err error) {
	writeControlJSON(w, http.StatusBadRequest, map[string]string{"error": strings.TrimPrefix(err.Error(), "apivideo: ")})
}

func writeControlJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // after an error the client is gone
}
