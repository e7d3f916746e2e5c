// Package recipes receives notifications with other routers and on platforms. The
// page docs/recipes.md shows its code.
package recipes
