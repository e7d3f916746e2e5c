package recipes

import (
	"net/http"

	"github.com/gin-gonic/gin"
)

// NewGinRouter returns a router that receives notifications at /apivideo.
func NewGinRouter(receiver http.Handler) http.Handler {
	router := gin.New()
	router.POST("/apivideo", gin.WrapH(receiver))
	return router
}
