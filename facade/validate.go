package facade

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A validator checks arguments before a request is sent.
type validator struct {
	unknownEvents bool // allowed
	loopback      bool // webhooks may have a loopback host
}

// checkParams returns the reason why p is invalid, or nil.
func (v validator) checkParams(p CreateWebhookParams) error {
	if err := v.checkURL(p.URL); err != nil {
		return err
	}
	if len(p.Events) == 0 {
		return errors.New("no events are given")
	}
	for _, e := range p.Events {
		if err := v.checkEvent(e); err != nil {
			return err
		}
	}
	return nil
}

// checkURL returns the reason why notifications cannot be sent to rawURL, or nil.
func (v validator) checkURL(rawURL string) error {
	u, err := url.Parse(rawURL)
	reason := ""
	switch {
	case rawURL == "":
		return errors.New("the URL is empty")
	case !utf8.ValidString(rawURL):
		reason = "is not UTF-8" // JSON would replace the invalid bytes
	case strings.ContainsFunc(rawURL, isInvisible):
		reason = "has white space, control or format characters"
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		reason = "is not an absolute http or https URL"
	case !v.loopback && (isLoopback(u.Hostname()) || parseIP(u.Hostname()).IsUnspecified()):
		reason = "has a loopback host, which the service cannot reach"
	default:
		if err := checkHost(u); err != nil {
			reason = err.Error()
		}
	}
	if reason != "" {
		return fmt.Errorf("the URL %q %s", redactPassword(rawURL), reason)
	}
	return nil
}

func isInvisible(r rune) bool {
	if r <= unicode.MaxASCII {
		return r <= ' ' || r == '\x7f'
	}
	return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r)
}

// checkHost returns the reason why the host or port of u is invalid, or nil. The
// reason is a predicate. url.Parse accepts ports with any number of digits.
func checkHost(u *url.URL) error {
	host, port := u.Hostname(), u.Port()
	if port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return fmt.Errorf("has the invalid port %s", port)
		}
	}
	switch {
	case host == "":
		return errors.New("has no host")
	case strings.HasSuffix(u.Host, ":"):
		return errors.New("has an empty port")
	case !isName(host) && parseIP(host) == nil:
		return fmt.Errorf("has the invalid host %q", host)
	}
	return nil
}

// isName reports whether host is a host name, possibly internationalized. The last
// label of a name has a letter: 127.1 and 0x7f000001 are addresses to some resolvers.
func isName(host string) bool {
	rest, label, hasLetter, more := strings.TrimSuffix(host, "."), "", false, true
	for more {
		label, rest, more = strings.Cut(rest, ".")
		if label == "" || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		hasLetter = false
		for _, r := range label {
			switch {
			case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', r > unicode.MaxASCII && unicode.IsLetter(r):
				hasLetter = true
			case '0' <= r && r <= '9', r == '-', r == '_', r > unicode.MaxASCII && unicode.In(r, unicode.M, unicode.Nd):
			default:
				return false
			}
		}
	}
	return hasLetter && !strings.HasPrefix(label, "0x") && !strings.HasPrefix(label, "0X")
}

// isLoopback reports whether host is this machine.
func isLoopback(host string) bool {
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	return name == "localhost" || strings.HasSuffix(name, ".localhost") || parseIP(host).IsLoopback()
}

// parseIP returns the IP address of host, or nil. A final dot and the zone of an IPv6
// address are ignored.
func parseIP(host string) net.IP {
	address, _, _ := strings.Cut(strings.TrimSuffix(host, "."), "%")
	return net.ParseIP(address)
}

// checkEvent returns an error that names the nearest known event if e is unknown.
func (v validator) checkEvent(e EventType) error {
	switch {
	case e == "":
		return errors.New("an event is empty")
	case !utf8.ValidString(string(e)):
		return fmt.Errorf("the event %q is not UTF-8", string(e))
	case v.unknownEvents || slices.Contains(EventTypes(), e):
		return nil
	}
	nearest, least := EventType(""), 0
	for _, known := range EventTypes() {
		if d := distance(strings.ToLower(string(e)), string(known)); nearest == "" || d < least {
			nearest, least = known, d
		}
	}
	return fmt.Errorf("unknown event %q; did you mean %q? (WithUnknownEvents allows unknown events)", string(e), string(nearest))
}

// maxDistance limits the length of the names that distance compares.
const maxDistance = 100

// distance returns the number of bytes to insert, delete or replace in a to get b.
func distance(a, b string) int {
	a, b = a[:min(len(a), maxDistance)], b[:min(len(b), maxDistance)]
	row := make([]int, len(b)+1) // distances of the current prefix of a to each prefix of b
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// checkID refuses an ID that changes the path: DELETE /webhooks/.. is DELETE /.
// All other characters are escaped.
func checkID(id string) error {
	switch id {
	case "":
		return errors.New("the webhook ID is empty")
	case ".", "..":
		return fmt.Errorf("the webhook ID %q is invalid", id)
	}
	return nil
}

// checkKey returns the reason why key cannot be the user name of Basic
// authentication, or nil. The reason does not contain the key.
func checkKey(key string) error {
	if key == "" {
		return errors.New("the API key is empty")
	}
	if !isToken(key) {
		return errors.New("the API key must be printable ASCII without white space and colons")
	}
	return nil
}

// isToken reports whether s is printable ASCII without white space and colons.
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == ':' })
}

// redactPassword removes the password of a URL. A URL without a host may be malformed, so
// all text before the last @ is removed.
func redactPassword(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err == nil && u.User != nil {
		return u.Redacted()
	}
	if err == nil && u.Host != "" {
		return rawURL
	}
	if i := strings.LastIndexByte(rawURL, '@'); i >= 0 {
		return "…" + rawURL[i:]
	}
	return rawURL
}
