package facade

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Plan is what has to be done so that the webhooks there are become those that
// there should be. PlanWebhooks makes it and ApplyPlan carries it out; it can be
// looked at, and changed, in between.
type Plan struct {
	// Keep are the desired webhooks that exist, one for each.
	Keep []*Webhook
	// Create are the desired ones that don't.
	Create []CreateWebhookParams
	// Delete are duplicates of those in Keep, webhooks of a desired url with
	// other events, and what PlanOptions.Owns claims besides.
	Delete []*Webhook
}

// PlanOptions says what a plan may delete. The zero value is the careful one.
type PlanOptions struct {
	// Owns claims webhooks whose url is no longer among the desired ones; those
	// that it returns true for are deleted. It isn't asked about webhooks of a
	// desired url: these are the plan's anyway. A nil Owns claims nothing, and
	// whatever has another url is left alone.
	Owns func(*Webhook) bool
}

// PlanWebhooks compares the account's webhooks with the desired ones. It only
// reads: one request for up to 100 webhooks in the account.
//
// A desired webhook exists if one has its url, byte for byte, and exactly its
// events, in any order. The same url may be desired several times with different
// events, which makes several webhooks; the same url and events twice is one. Of
// duplicates the oldest is kept, by its id if they are equally old, so that
// whoever else plans for the same keeps the same.
//
// How many webhooks an account may hold isn't known here, so that more than that
// can be planned for: ApplyPlan then ends with ErrWebhookLimitReached. A desired
// webhook that can't be right is ErrInvalidArgument, and a list that leaves out
// what has to be compared is ErrUnexpectedResponse.
//
// A plan is only as good as its listing. A creation that was still on its way
// then, after ErrUnconfirmed for instance, isn't in it and may become a duplicate,
// which the plan after that deletes.
func (c *Client) PlanWebhooks(ctx context.Context, desired []CreateWebhookParams, opts PlanOptions) (*Plan, error) {
	const op = "PlanWebhooks"
	urls := make(map[string]bool)
	for i, p := range desired {
		if err := p.check(op); err != nil {
			return nil, fmt.Errorf("%w (desired webhook %d of %d)", err, i+1, len(desired))
		}
		urls[p.URL] = true
	}
	all, err := c.current(ctx)
	if err != nil {
		return nil, err
	}
	kept := make(map[subscription]*Webhook)
	for _, wh := range slices.Backward(all) {
		kept[subscriptionOf(wh.URL, wh.Events)] = wh // in the end the oldest
	}

	plan := new(Plan)
	isKept := make(map[*Webhook]bool)
	isPlanned := make(map[subscription]bool)
	for _, p := range desired {
		s := subscriptionOf(p.URL, p.Events)
		if isPlanned[s] {
			continue
		}
		isPlanned[s] = true
		if wh := kept[s]; wh != nil {
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

// Empty reports whether there is nothing to do.
func (p Plan) Empty() bool { return len(p.Create) == 0 && len(p.Delete) == 0 }

// String returns a line for each webhook, marked - if it will be deleted, + if
// created and = if kept, and a line that counts them. What happens to one url
// stands together. It shows no signature secret and no password of a url, but the
// rest of each url.
func (p Plan) String() string {
	var lines []string
	for _, wh := range p.Delete {
		lines = append(lines, fmt.Sprintf("- %s (%s)", describe(wh.URL, wh.Events), printable(wh.ID)))
	}
	for _, c := range p.Create {
		lines = append(lines, "+ "+describe(c.URL, c.Events))
	}
	for _, wh := range p.Keep {
		lines = append(lines, fmt.Sprintf("= %s (%s)", describe(wh.URL, wh.Events), printable(wh.ID)))
	}
	slices.SortStableFunc(lines, func(a, b string) int {
		return cmp.Compare(strings.Fields(a)[1], strings.Fields(b)[1]) // the urls
	})
	lines = append(lines, fmt.Sprintf("%d to create, %d to delete, %d to keep\n", len(p.Create), len(p.Delete), len(p.Keep)))
	return strings.Join(lines, "\n")
}

// LogValue returns what a log needs as a group: what will be created and deleted
// in the words of String, and how many webhooks are kept.
func (p Plan) LogValue() slog.Value {
	create, remove := make([]string, len(p.Create)), make([]string, len(p.Delete))
	for i, c := range p.Create {
		create[i] = describe(c.URL, c.Events)
	}
	for i, wh := range p.Delete {
		remove[i] = fmt.Sprintf("%s (%s)", describe(wh.URL, wh.Events), printable(wh.ID))
	}
	return slog.GroupValue(slog.Any("create", create), slog.Any("delete", remove), slog.Int("keep", len(p.Keep)))
}

// describe shows a webhook to a person, without a password that its url has.
func describe(rawURL string, events []EventType) string {
	if u, err := url.Parse(rawURL); err != nil {
		if i := strings.LastIndexByte(rawURL, '@'); i >= 0 {
			rawURL = "…" + rawURL[i:] // what nobody can take apart may hold one all the same
		}
	} else if u.User != nil {
		rawURL = u.Redacted()
	}
	return printable(fmt.Sprintf("%s %v", rawURL, events))
}

// Applied is what ApplyPlan did, and what it didn't get to.
type Applied struct {
	// Created are the new webhooks with their signature secrets, in the order of
	// Plan.Create.
	Created []*Webhook
	// Deleted are those that were deleted, or gone already.
	Deleted []*Webhook
	// Freed is how many of Deleted, counted from the first, had to go before
	// everything was created, because the account could hold no more. Events may
	// have been missed meanwhile.
	Freed int
	// Left is what remains to be done, nothing if there was no error. Its Keep
	// holds the webhooks of Created, too.
	Left Plan
}

// ApplyPlan creates what p says and then deletes what it says, so that no event
// is missed. Each change is one request, and one more if the service leaves out
// the signature secret of a new webhook. Applied is never nil; with an error it
// says what was done until then. Apply a plan once, and soon: applied again it
// creates everything again, and it is only as good as its listing.
//
// If the account can hold no more webhooks, which one refused creation tells, one
// of p.Delete is deleted before each that remains to be created, which
// Applied.Freed counts: one whose events nobody will miss if there is any, else
// one that the next creation replaces. If nothing is left to delete, the error is
// ErrWebhookLimitReached.
//
// The first error ends it. It is that of CreateWebhook, DeleteWebhook or, if only
// a secret couldn't be had, GetWebhook. After ErrUnconfirmed the webhook in
// question is the first of Applied.Left.Create, and may exist. If the service has
// stored another url or other events than it was sent, the error is
// ErrUnexpectedResponse, and the webhook is the last of Applied.Created; desire
// what that one has from then on, or each run creates one more. Whatever else the
// error was, PlanWebhooks and ApplyPlan together finish the work when they are
// called again: a new plan sees what there is. A webhook that is gone already
// counts as deleted. A plan that can't be right is ErrInvalidArgument, and nothing
// was sent: one that deletes what it keeps, for instance, or creates or deletes
// the same twice.
//
// Several may do so at once for the same desired webhooks. Each may then create
// the same one, and for a while an event is notified twice. Once all are done, one
// more plan and its application leave exactly what is desired. If none had an
// error and the account has room, all may make that further run at once. Else let
// the further runs follow one after the other, above all at the limit: there one
// run may end with ErrWebhookLimitReached although another did the work, the place
// that a webhook needs may be taken by the other's duplicate of one, and events
// may be missed until the last run.
//
// Which of the duplicates stays isn't known before. So take signature secrets from
// Applied.Left.Keep of the last run, or let a receiver look them up.
func (c *Client) ApplyPlan(ctx context.Context, p *Plan) (*Applied, error) {
	const op = "ApplyPlan"
	if p == nil {
		return new(Applied), invalid(op, "the plan is nil")
	}
	done := &Applied{Left: Plan{Keep: slices.Clone(p.Keep), Create: p.Create, Delete: slices.Clone(p.Delete)}}
	if err := p.check(op); err != nil {
		return done, err
	}
	left, full := &done.Left, false
	for len(left.Create) > 0 {
		if full && len(left.Delete) > 0 {
			if err := c.deleteOne(ctx, done, left.leastMissed()); err != nil {
				return done, err
			}
			done.Freed++
		}
		wh, err := c.create(ctx, left.Create[0])
		if wh != nil {
			done.Created = append(done.Created, wh)
			left.Keep = append(left.Keep, wh)
			left.Create = left.Create[1:]
		} else if errors.Is(err, ErrWebhookLimitReached) && len(left.Delete) > 0 {
			full = true
			continue
		}
		if err != nil {
			return done, err
		}
	}
	for len(left.Delete) > 0 {
		if err := c.deleteOne(ctx, done, 0); err != nil {
			return done, err
		}
	}
	return done, nil
}

// check refuses what would do harm, or what no listing can have led to.
func (p Plan) check(op string) error {
	created, used := make(map[subscription]bool), make(map[string]bool)
	for _, c := range p.Create {
		if err := c.check(op); err != nil {
			return err
		}
		s := subscriptionOf(c.URL, c.Events)
		if created[s] {
			return invalid(op, "%s is to be created twice", describe(c.URL, c.Events))
		}
		created[s] = true
	}
	if slices.Contains(p.Keep, nil) || slices.Contains(p.Delete, nil) {
		return invalid(op, "a webhook of the plan is nil")
	}
	for _, wh := range p.Keep {
		used[wh.ID] = true
	}
	for _, wh := range p.Delete {
		if err := checkID(op, wh.ID); err != nil {
			return err
		}
		if used[wh.ID] {
			return invalid(op, "webhook %q is to be deleted, and to be kept or deleted besides", wh.ID)
		}
		used[wh.ID] = true
	}
	return nil
}

// deleteOne deletes the ith of the webhooks that are left to delete. One that
// isn't there will do, unless the 404 is about something else.
func (c *Client) deleteOne(ctx context.Context, done *Applied, i int) error {
	wh := done.Left.Delete[i]
	err := c.DeleteWebhook(ctx, wh.ID)
	var e *Error
	wasGone := errors.As(err, &e) && e.Op == "DeleteWebhook" && e.StatusCode == http.StatusNotFound && (e.Type == "" || e.slug() == "resource-not-found")
	if err != nil && !wasGone {
		return err
	}
	done.Deleted = append(done.Deleted, wh)
	done.Left.Delete = slices.Delete(done.Left.Delete, i, i+1)
	return nil
}

// leastMissed returns which of p.Delete to delete before the next creation: the
// one of whose events the fewest are missed after it, and of these the fewest
// until then.
func (p Plan) leastMissed() int {
	best, after, until := 0, math.MaxInt, math.MaxInt
	for i, wh := range p.Delete {
		u := p.missed(wh, p.Create[:1])
		a := p.missed(wh, p.Create) - u
		if a < after || a == after && u < until {
			best, after, until = i, a, u
		}
	}
	return best
}

// missed counts the events of wh that its url gets from no other one, kept or yet
// to be deleted, and has to get from one of those to be created.
func (p Plan) missed(wh *Webhook, create []CreateWebhookParams) int {
	n := 0
	for _, event := range wh.Events {
		notifies := func(k *Webhook) bool { return k != wh && k.URL == wh.URL && slices.Contains(k.Events, event) }
		isCovered := slices.ContainsFunc(p.Keep, notifies) || slices.ContainsFunc(p.Delete, notifies)
		isDue := slices.ContainsFunc(create, func(c CreateWebhookParams) bool { return c.URL == wh.URL && slices.Contains(c.Events, event) })
		if isDue && !isCovered {
			n++
		}
	}
	return n
}
