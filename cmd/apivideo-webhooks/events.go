package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/agnivade/levenshtein"
	"github.com/spf13/cobra"

	"github.com/apivideo-community/webhooks-go/facade"
)

// parseEvents checks the names of events. An unknown event never causes a
// notification.
func (a *app) parseEvents(names []string) ([]facade.EventType, error) {
	events := make([]facade.EventType, len(names))
	for i, name := range names {
		events[i] = facade.EventType(name)
		switch {
		case slices.Contains(facade.EventTypes(), events[i]):
		case !a.unknownEvents || name == "":
			return nil, unknownEvent(name)
		case !utf8.ValidString(name):
			return nil, fmt.Errorf("the event %q is not UTF-8", name)
		}
	}
	return events, nil
}

// completeEvents completes the name of an event in a shell.
func completeEvents(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	names := make([]string, 0, len(facade.EventTypes()))
	for _, event := range facade.EventTypes() {
		names = append(names, string(event))
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// unknownEvent returns an error that names the nearest known event.
func unknownEvent(name string) error {
	lower := strings.ToLower(name[:min(len(name), 100)])
	distance := func(e facade.EventType) int { return levenshtein.ComputeDistance(lower, string(e)) }
	nearest := slices.MinFunc(facade.EventTypes(), func(x, y facade.EventType) int { return distance(x) - distance(y) })
	return fmt.Errorf("unknown event %q; did you mean %q? (--unknown-events allows unknown events)", name, nearest)
}

// sampleFields are the fields of each event beside type and emittedAt.
var sampleFields = map[facade.EventType][]field{
	facade.EventLiveStreamBroadcastStarted: {{"liveStreamId", "li0000000000000000000000"}},
	facade.EventLiveStreamBroadcastEnded:   {{"liveStreamId", "li0000000000000000000000"}},
	facade.EventVideoSourceRecorded:        {{"liveStreamId", "li0000000000000000000000"}, {"videoId", "vi0000000000000000000000"}},
	facade.EventVideoEncodingQualityCompleted: {
		{"videoId", "vi0000000000000000000000"}, {"encoding", "hls"}, {"quality", "720p"},
	},
	facade.EventVideoCaptionGenerated: {
		{"videoId", "vi0000000000000000000000"},
		{"captionId", "caption_0000000000000000000000"},
		{"generationMode", "transcript"},
		{"language", "en"},
	},
	facade.EventVideoSummaryGenerated: {
		{"videoId", "vi0000000000000000000000"}, {"summaryId", "summary_0000000000000000000000"},
	},
}

// newEventBody returns a notification of an event. The settings have the form
// name=value and replace or add fields.
func newEventBody(event facade.EventType, settings []string, now time.Time) ([]byte, error) {
	fields := append([]field{
		{"type", string(event)},
		{"emittedAt", now.UTC().Format("2006-01-02T15:04:05.000Z07:00")},
	}, sampleFields[event]...)
	for _, setting := range settings {
		name, value, ok := strings.Cut(setting, "=")
		if !ok || name == "" {
			return nil, usagef("--set %q is invalid; use NAME=VALUE, for example --set videoId=vi1", setting)
		}
		i := slices.IndexFunc(fields, func(f field) bool { return f.name == name })
		if i < 0 {
			fields = append(fields, field{name, value})
			continue
		}
		fields[i].value = value
	}
	return encodeFields(fields), nil
}
