package facade_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
)

// The list has one webhook per page. Each state is the list during one request. A
// webhook W exists during all requests.
func TestWebhooks_listChangesBetweenRequests(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, states string }{
		{"a deletion", "A W, W"},
		{"a creation in front", "A W, N A W"},
		{"a deletion and a creation behind", "A W, W N"},
		{"a deletion in each of two scans", "A B W, B W, B W, B W, W"},
		{"a deletion in each scan, the second scan a subset", "A B W, A B W, B W, B W, W"},
		{"a creation and its deletion, and a deletion", "A W, N A W, A W, W"},
		{"a creation and its deletion in two scans", "A W, N A W, A W, M A W, A W"},
		{"a deletion between two scans", "A B W, A B W, A B W, A B W, B W, W"},
		{"the deletion of everything else", "A B C D W, B C D W, C D W, D W, W"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			states, requests := strings.Split(test.states, ", "), 0
			client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
				all := strings.Fields(states[min(requests, len(states)-1)])
				requests++
				page, _ := strconv.Atoi(r.URL.Query().Get("currentPage"))
				data := ""
				if page <= len(all) {
					data = `{"webhookId":"` + all[page-1] + `"}`
				}
				respond(http.StatusOK, fmt.Sprintf(`{"data":[%s],"pagination":{"currentPage":%d,"pageSize":1,"pagesTotal":%d,"itemsTotal":%d}}`, data, page, len(all), len(all)))(w, r)
			})
			found := make(map[string]int)
			for wh, err := range client.Webhooks(t.Context(), facade.ListOptions{PageSize: 1}) {
				require.NoError(t, err)
				found[wh.ID]++
			}
			assert.Equal(t, 1, found["W"], found)
			for id, n := range found {
				assert.Equal(t, 1, n, id)
			}
		})
	}
}
