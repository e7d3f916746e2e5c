// Package deduplicator has a notification.Deduplicator for database/sql, for
// receivers with several replicas. The package supports PostgreSQL and SQLite and
// is meant to be copied and adapted to other databases.
package deduplicator

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/apivideo-community/webhooks-go/facade/notification"
)

// Schema creates the table, with one row for each notification.
const Schema = `CREATE TABLE IF NOT EXISTS notifications (
	id      VARCHAR(64) PRIMARY KEY,
	owner   VARCHAR(26) NOT NULL,
	handled BOOLEAN NOT NULL,
	expires BIGINT NOT NULL -- in milliseconds
)`

// A Clock is the SQL expression of the current time in milliseconds. The clock of
// the database is the same for all replicas.
type Clock string

// The clocks of databases.
const (
	PostgreSQL Clock = "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"
	SQLite     Clock = "CAST(unixepoch('subsec') * 1000 AS INTEGER)"
)

// Deduplicator keeps claims and handled notifications in a table.
type Deduplicator struct {
	db     *sql.DB
	memory time.Duration // of handled notifications

	begin, state, done, forget, purge string // statements
}

// New returns a Deduplicator that remembers handled notifications for memory, which
// should be twice the duration of notification.WithMaxAge. The table must exist.
func New(db *sql.DB, clock Clock, memory time.Duration) *Deduplicator {
	return &Deduplicator{
		db:     db,
		memory: memory,
		// An expired row is replaced. Other rows stay unchanged.
		begin: `INSERT INTO notifications (id, owner, handled, expires) VALUES ($1, $2, FALSE, ` + string(clock) + ` + $3)
			ON CONFLICT (id) DO UPDATE SET owner = excluded.owner, handled = FALSE, expires = excluded.expires
			WHERE notifications.expires <= ` + string(clock),
		state:  `SELECT handled FROM notifications WHERE id = $1`,
		done:   `UPDATE notifications SET handled = TRUE, expires = ` + string(clock) + ` + $3 WHERE id = $1 AND owner = $2 AND NOT handled`,
		forget: `DELETE FROM notifications WHERE id = $1 AND owner = $2 AND NOT handled`,
		purge:  `DELETE FROM notifications WHERE expires <= ` + string(clock) + ` - 60000`,
	}
}

// Begin claims key for owner.
func (d *Deduplicator) Begin(ctx context.Context, key, owner string, ttl time.Duration) (notification.State, error) {
	result, err := d.db.ExecContext(ctx, d.begin, key, owner, ttl.Milliseconds())
	if err != nil {
		return 0, fmt.Errorf("claim %s: %w", key, err)
	}
	switch rows, err := result.RowsAffected(); {
	case err != nil:
		return 0, err
	case rows == 1:
		return notification.StateNew, nil
	}
	var handled bool
	switch err := d.db.QueryRowContext(ctx, d.state, key).Scan(&handled); {
	case errors.Is(err, sql.ErrNoRows): // forgotten after the insert, and the service retries
		return notification.StateInProgress, nil
	case err != nil:
		return 0, fmt.Errorf("read the state of %s: %w", key, err)
	case handled:
		return notification.StateHandled, nil
	default:
		return notification.StateInProgress, nil
	}
}

// Done records that owner has handled key.
func (d *Deduplicator) Done(ctx context.Context, key, owner string) error {
	_, err := d.db.ExecContext(ctx, d.done, key, owner, d.memory.Milliseconds())
	return err
}

// Forget removes the claim of owner.
func (d *Deduplicator) Forget(ctx context.Context, key, owner string) error {
	_, err := d.db.ExecContext(ctx, d.forget, key, owner)
	return err
}

// Purge deletes the rows that expired more than a minute ago. Until then a late Done
// counts. Call it from time to time, for example every minute.
func (d *Deduplicator) Purge(ctx context.Context) error {
	_, err := d.db.ExecContext(ctx, d.purge)
	return err
}
