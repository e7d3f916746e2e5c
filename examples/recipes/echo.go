package recipes

import (
	"net/http"

	"github.com/labstack/echo/v5"
)

// NewEchoRouter returns a router that receives notifications at /apivideo.
func NewEchoRouter(receiver http.Handler) http.Handler {
	router := echo.New()
	router.POST("/apivideo", echo.WrapHandler(receiver))
	return router
}
