package facade

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"slices"
	"strings"

	"github.com/apivideo-community/webhooks-go/facade/internal/redact"
)

// Plan lists the changes that turn the webhooks of an account into the desired ones.
// PlanWebhooks returns a plan and ApplyPlan applies the plan. The caller may inspect
// and change the fields.
type Plan struct {
	// Keep are the desired webhooks that exist, one for each.
	Keep []*Webhook
	// Create are the desired webhooks that do not exist.
	Create []CreateWebhookParams
	// Delete are duplicates of Keep, webhooks of a desired URL with other events,
	// and the webhooks selected by PlanOptions.Owns.
	Delete []*Webhook
}

// PlanOptions limits the webhooks that a plan may delete.
type PlanOptions struct {
	// Owns reports whether the plan deletes a webhook with an undesired URL. Nil
	// means no. Webhooks of a desired URL always belong to the plan.
	Owns func(*Webhook) bool
}

// PlanWebhooks compares the webhooks of the account with the desired ones and changes
// nothing. A desired webhook exists if a webhook has the same URL, byte for byte, and
// exactly the same events, in any order. Of duplicates the oldest is kept.
//
// A URL may be desired several times with different events. A plan may exceed the
// maximum number of webhooks of the account, which is unknown. An invalid desired
// webhook is ErrInvalidArgument. A list that omits a URL or events is
// ErrUnexpectedResponse.
func (c *Client) PlanWebhooks(ctx context.Context, desired []CreateWebhookParams, opts PlanOptions) (*Plan, error) {
	urls := make(map[string]bool)
	for i, p := range desired {
		if err := c.validator.checkParams(p); err != nil {
			return nil, c.invalid("PlanWebhooks", fmt.Errorf("desired webhook %d of %d: %w", i+1, len(desired), err))
		}
		urls[p.URL] = true
	}
	all, err := c.sortedWebhooks(ctx)
	if err != nil {
		return nil, err
	}
	oldest := make(map[subscription]*Webhook)
	for _, wh := range slices.Backward(all) {
		oldest[newSubscription(wh.URL, wh.Events)] = wh
	}

	plan := new(Plan)
	isKept := make(map[*Webhook]bool)
	isPlanned := make(map[subscription]bool)
	for _, p := range desired {
		s := newSubscription(p.URL, p.Events)
		if isPlanned[s] {
			continue
		}
		isPlanned[s] = true
		if wh := oldest[s]; wh != nil {
			plan.Keep = append(plan.Keep, wh)
			isKept[wh] = true
		} else {
			plan.Create = append(plan.Create, CreateWebhookParams{URL: p.URL, Events: slices.Clone(p.Events)})
		}
	}
	for _, wh := range all {
		if !isKept[wh] && (urls[wh.URL] || opts.Owns != nil && opts.Owns(wh)) {
			plan.Delete = append(plan.Delete, wh)
		}
	}
	return plan, nil
}

// Empty reports whether the plan has no changes.
func (p Plan) Empty() bool { return len(p.Create) == 0 && len(p.Delete) == 0 }

// String returns one line for each webhook and a line of totals. The lines begin
// with - for deletions, + for creations and = for kept webhooks, sorted by URL.
// Signature secrets and passwords of URLs are omitted.
func (p Plan) String() string {
	type entry struct{ url, line string }
	var entries []entry
	for _, wh := range p.Delete {
		entries = append(entries, entry{urlOf(wh), "- " + describeWebhook(wh)})
	}
	for _, c := range p.Create {
		entries = append(entries, entry{c.URL, "+ " + describe(c.URL, c.Events)})
	}
	for _, wh := range p.Keep {
		entries = append(entries, entry{urlOf(wh), "= " + describeWebhook(wh)})
	}
	slices.SortStableFunc(entries, func(a, b entry) int { return cmp.Compare(a.url, b.url) })
	var b strings.Builder
	for _, e := range entries {
		b.WriteString(e.line + "\n")
	}
	fmt.Fprintf(&b, "%d to create, %d to delete, %d to keep\n", len(p.Create), len(p.Delete), len(p.Keep))
	return b.String()
}

// LogValue returns a group with the webhooks to create and to delete, as in String,
// and the number of webhooks to keep.
func (p Plan) LogValue() slog.Value {
	create, remove := make([]string, len(p.Create)), make([]string, len(p.Delete))
	for i, c := range p.Create {
		create[i] = describe(c.URL, c.Events)
	}
	for i, wh := range p.Delete {
		remove[i] = describeWebhook(wh)
	}
	return slog.GroupValue(slog.Any("create", create), slog.Any("delete", remove), slog.Int("keep", len(p.Keep)))
}

func urlOf(wh *Webhook) string {
	if wh == nil {
		return ""
	}
	return wh.URL
}

func describeWebhook(wh *Webhook) string {
	if wh == nil {
		return "<nil>"
	}
	return fmt.Sprintf("%s (%s)", describe(wh.URL, wh.Events), redact.OneLine(wh.ID))
}

// Applied is the result of ApplyPlan.
type Applied struct {
	// Created are the new webhooks with their signature secrets, in the order of
	// Plan.Create.
	Created []*Webhook
	// Deleted are the webhooks that were deleted or did not exist.
	Deleted []*Webhook
	// DeletedEarly is the number of webhooks, the first of Deleted, that were
	// deleted before all creations because the account was full. Events may have
	// been missed meanwhile.
	DeletedEarly int
	// Remaining is the rest of the plan, without changes unless there was an error.
	// Remaining.Keep contains the webhooks of Created, too.
	Remaining Plan
}

// ApplyPlan creates the webhooks of p.Create before the deletions of p.Delete, so that
// no event is missed. ApplyPlan ends at the first error. Applied is always set, with
// the changes made so far and the remaining ones. After an error call PlanWebhooks
// and ApplyPlan again.
//
// If the account is full, a webhook is deleted before each creation, if possible one
// with events that other webhooks cover. The error is ErrWebhookLimitReached if there
// is nothing left to delete. An inconsistent plan is ErrInvalidArgument, for example
// one with a webhook to keep and to delete. The section Desired state of the package
// comment has the details.
func (c *Client) ApplyPlan(ctx context.Context, p *Plan) (*Applied, error) {
	const op = "ApplyPlan"
	if p == nil {
		return new(Applied), c.invalid(op, errors.New("the plan is nil"))
	}
	applied := &Applied{Remaining: Plan{Keep: slices.Clone(p.Keep), Create: p.Create, Delete: slices.Clone(p.Delete)}}
	if err := c.checkPlan(p); err != nil {
		return applied, c.invalid(op, err)
	}
	remaining, isFull := &applied.Remaining, false
	for len(remaining.Create) > 0 {
		if isFull && len(remaining.Delete) > 0 {
			if err := c.deletePlanned(ctx, applied, remaining.deletionIndex()); err != nil {
				return applied, err
			}
			applied.DeletedEarly++
		}
		wh, err := c.create(ctx, remaining.Create[0])
		if wh != nil {
			applied.Created = append(applied.Created, wh)
			remaining.Keep = append(remaining.Keep, wh)
			remaining.Create = remaining.Create[1:]
		} else if errors.Is(err, ErrWebhookLimitReached) && len(remaining.Delete) > 0 {
			isFull = true
			continue
		}
		if err != nil {
			return applied, err
		}
	}
	for len(remaining.Delete) > 0 {
		if err := c.deletePlanned(ctx, applied, 0); err != nil {
			return applied, err
		}
	}
	return applied, nil
}

// checkPlan returns the reason why p is invalid or inconsistent, or nil.
func (c *Client) checkPlan(p *Plan) error {
	isCreated, isUsed := make(map[subscription]bool), make(map[string]bool)
	for _, params := range p.Create {
		if err := c.validator.checkParams(params); err != nil {
			return err
		}
		s := newSubscription(params.URL, params.Events)
		if isCreated[s] {
			return fmt.Errorf("the plan creates %s twice", describe(params.URL, params.Events))
		}
		isCreated[s] = true
	}
	if slices.Contains(p.Keep, nil) || slices.Contains(p.Delete, nil) {
		return errors.New("a webhook of the plan is nil")
	}
	for _, wh := range p.Keep {
		isUsed[wh.ID] = true
	}
	for _, wh := range p.Delete {
		if err := checkID(wh.ID); err != nil {
			return err
		}
		if isUsed[wh.ID] {
			return fmt.Errorf("the plan deletes webhook %q, and keeps or deletes it a second time", wh.ID)
		}
		isUsed[wh.ID] = true
	}
	return nil
}

// deletePlanned deletes webhook i of the remaining ones. An absent webhook is a
// success, in contrast to a 404 of another kind.
func (c *Client) deletePlanned(ctx context.Context, applied *Applied, i int) error {
	wh := applied.Remaining.Delete[i]
	err := c.DeleteWebhook(ctx, wh.ID)
	var e *Error
	isAbsent := errors.As(err, &e) && e.Op == "DeleteWebhook" && e.StatusCode == http.StatusNotFound && (e.Type == "" || e.slug() == "resource-not-found")
	if err != nil && !isAbsent {
		return err
	}
	applied.Deleted = append(applied.Deleted, wh)
	applied.Remaining.Delete = slices.Delete(applied.Remaining.Delete, i, i+1)
	return nil
}

// deletionIndex returns the index in p.Delete of the webhook to delete before the next
// creation. The webhook has the fewest uncovered events after the creation, and among
// equals the fewest before.
func (p Plan) deletionIndex() int {
	best, leastAfter, leastUntil := 0, math.MaxInt, math.MaxInt
	for i, wh := range p.Delete {
		until := p.uncoveredEvents(wh, p.Create[:1])
		after := p.uncoveredEvents(wh, p.Create) - until
		if after < leastAfter || after == leastAfter && until < leastUntil {
			best, leastAfter, leastUntil = i, after, until
		}
	}
	return best
}

// uncoveredEvents counts the events that wh shares with the webhooks to create for its
// URL, and with no other webhook of the plan.
func (p Plan) uncoveredEvents(wh *Webhook, create []CreateWebhookParams) int {
	n := 0
	for _, event := range wh.Events {
		covers := func(k *Webhook) bool { return k != wh && k.URL == wh.URL && slices.Contains(k.Events, event) }
		isCovered := slices.ContainsFunc(p.Keep, covers) || slices.ContainsFunc(p.Delete, covers)
		isDesired := slices.ContainsFunc(create, func(c CreateWebhookParams) bool {
			return c.URL == wh.URL && slices.Contains(c.Events, event)
		})
		if isDesired && !isCovered {
			n++
		}
	}
	return n
}
