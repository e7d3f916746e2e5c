package recipes

import (
	"net/http"

	"github.com/go-chi/chi/v5"
)

// NewChiRouter returns a router that receives notifications at /apivideo.
func NewChiRouter(receiver http.Handler) http.Handler {
	router := chi.NewRouter()
	router.Method(http.MethodPost, "/apivideo", receiver)
	return router
}
