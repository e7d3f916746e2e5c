package deduplicator_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/apivideo-community/webhooks-go/examples/deduplicator"
	"github.com/apivideo-community/webhooks-go/facade/facadetest"
	"github.com/apivideo-community/webhooks-go/facade/notification"
)

// database opens the database of a replica.
type database struct {
	clock deduplicator.Clock
	open  func() (*sql.DB, error)
}

// databases returns SQLite and, with DATABASE_URL, PostgreSQL. See
// scripts/with-postgres.
func databases(t *testing.T) map[string]database {
	t.Helper()
	file := "file:" + filepath.ToSlash(filepath.Join(t.TempDir(), "test.db")) + "?_pragma=busy_timeout(5000)"
	all := map[string]database{
		"SQLite": {deduplicator.SQLite, func() (*sql.DB, error) { return sql.Open("sqlite", file) }},
	}
	url := os.Getenv("DATABASE_URL")
	if url == "" {
		require.Empty(t, os.Getenv("CI"), "DATABASE_URL is required in CI")
		t.Log("DATABASE_URL is empty, so PostgreSQL is not tested")
		return all
	}
	all["PostgreSQL"] = database{deduplicator.PostgreSQL, func() (*sql.DB, error) { return sql.Open("pgx", url) }}
	return all
}

// creating is locked while a table is created, because PostgreSQL fails if two
// connections create the same one.
var creating sync.Mutex

// replica returns a Deduplicator with its own connections.
func (d database) replica(t *testing.T, memory time.Duration) (*deduplicator.Deduplicator, *sql.DB) {
	t.Helper()
	db, err := d.open()
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	creating.Lock()
	defer creating.Unlock()
	_, err = db.ExecContext(t.Context(), deduplicator.Schema)
	require.NoError(t, err)
	return deduplicator.New(db, d.clock, memory), db
}

func TestDeduplicator_conformance(t *testing.T) {
	t.Parallel()
	for name, database := range databases(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.NoError(t, facadetest.CheckDeduplicator(t.Context(), func() (notification.Deduplicator, error) {
				d, _ := database.replica(t, time.Minute)
				return d, nil
			}))
		})
	}
}

func TestDeduplicator_replicas(t *testing.T) {
	t.Parallel()
	for name, database := range databases(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, db := database.replica(t, time.Hour)
			b, _ := database.replica(t, time.Hour)
			key := strings.Repeat("1", 64)
			begin := func(d *deduplicator.Deduplicator, owner string, want notification.State) {
				t.Helper()
				state, err := d.Begin(t.Context(), key, owner, time.Hour)
				require.NoError(t, err)
				assert.Equal(t, want, state)
			}
			begin(a, "a", notification.StateNew)
			begin(b, "b", notification.StateInProgress)

			// The claim of replica a expires.
			_, err := db.ExecContext(t.Context(), "UPDATE notifications SET expires = 0 WHERE id = $1", key)
			require.NoError(t, err)
			begin(b, "b", notification.StateNew)
			require.NoError(t, a.Forget(t.Context(), key, "a"))
			require.NoError(t, a.Done(t.Context(), key, "a"))
			begin(a, "a2", notification.StateInProgress)
			require.NoError(t, b.Done(t.Context(), key, "b"))
			begin(a, "a3", notification.StateHandled)
		})
	}
}

func TestDeduplicator_Purge(t *testing.T) {
	t.Parallel()
	for name, database := range databases(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, db := database.replica(t, time.Hour)
			for _, key := range []string{"old", "new"} {
				_, err := d.Begin(t.Context(), key, "a", time.Hour)
				require.NoError(t, err)
				require.NoError(t, d.Done(t.Context(), key, "a"))
			}
			_, err := db.ExecContext(t.Context(), "UPDATE notifications SET expires = 0 WHERE id = 'old'")
			require.NoError(t, err)
			require.NoError(t, d.Purge(t.Context()))
			var left string
			require.NoError(t, db.QueryRowContext(t.Context(), "SELECT id FROM notifications WHERE id IN ('old', 'new')").Scan(&left))
			assert.Equal(t, "new", left)

			// The claim expires during the call of the function.
			_, err = d.Begin(t.Context(), "late", "a", 0)
			require.NoError(t, err)
			require.NoError(t, d.Purge(t.Context()))
			require.NoError(t, d.Done(t.Context(), "late", "a"))
			state, err := d.Begin(t.Context(), "late", "b", time.Hour)
			require.NoError(t, err)
			assert.Equal(t, notification.StateHandled, state)
		})
	}
}
