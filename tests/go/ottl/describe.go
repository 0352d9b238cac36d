package main

import (
	"encoding/hex"
	"fmt"
	"math"
	"sort"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

// describe writes a value so that equal texts mean equal values of equal Go types. Structs without a content that
// conditions can see are all "?".
func describe(value any) string {
	switch v := value.(type) {
	case nil:
		return "nil"
	case bool:
		return fmt.Sprintf("b:%t", v)
	case int64:
		return fmt.Sprintf("i:%d", v)
	case int:
		return fmt.Sprintf("int:%d", v)
	case uint8:
		return fmt.Sprintf("uint8:%d", v)
	case uint64:
		return fmt.Sprintf("uint64:%d", v)
	case float64:
		if math.IsNaN(v) {
			return "d:nan"
		}
		return fmt.Sprintf("d:%016x", math.Float64bits(v))
	case string:
		return "s:" + hex.EncodeToString([]byte(v))
	case []byte:
		return "y:" + hex.EncodeToString(v)
	case time.Duration:
		return fmt.Sprintf("u:%d", int64(v))
	case time.Time:
		_, offset := v.Zone()
		return fmt.Sprintf("t:%d.%d.%d", v.Unix(), v.Nanosecond(), offset)
	case pcommon.TraceID:
		return "x:" + hex.EncodeToString(v[:])
	case pcommon.SpanID:
		return "x:" + hex.EncodeToString(v[:])
	case pcommon.Value:
		return describePdata(v)
	case pcommon.Map:
		entries := make(map[string]string, v.Len())
		for key, value := range v.All() {
			// Of equal keys the first is the one that is read.
			if _, ok := entries[key]; !ok {
				entries[key] = describePdata(value)
			}
		}
		return "map" + joinEntries(entries)
	case map[string]any:
		entries := make(map[string]string, len(v))
		for key, value := range v {
			entries[key] = describe(value)
		}
		return "raw" + joinEntries(entries)
	case pcommon.Slice:
		items := make([]string, 0, v.Len())
		for i := range v.Len() {
			items = append(items, describePdata(v.At(i)))
		}
		return "slice" + joinItems(items)
	case []any:
		return "[]any" + describeItems(v)
	case []string:
		return "[]string" + describeItems(v)
	case []int64:
		return "[]int64" + describeItems(v)
	case []uint64:
		return "[]uint64" + describeItems(v)
	case []float64:
		return "[]float64" + describeItems(v)
	case []bool:
		return "[]bool" + describeItems(v)
	default:
		return "?"
	}
}

func describePdata(value pcommon.Value) string {
	switch value.Type() {
	case pcommon.ValueTypeStr:
		return describe(value.Str())
	case pcommon.ValueTypeInt:
		return describe(value.Int())
	case pcommon.ValueTypeDouble:
		return describe(value.Double())
	case pcommon.ValueTypeBool:
		return describe(value.Bool())
	case pcommon.ValueTypeBytes:
		return describe(value.Bytes().AsRaw())
	case pcommon.ValueTypeMap:
		return describe(value.Map())
	case pcommon.ValueTypeSlice:
		return describe(value.Slice())
	default:
		return "nil"
	}
}

func describeItems[T any](values []T) string {
	items := make([]string, 0, len(values))
	for _, value := range values {
		items = append(items, describe(value))
	}
	return joinItems(items)
}

func joinItems(items []string) string {
	return "[" + strings.Join(items, ",") + "]"
}

func joinEntries(entries map[string]string) string {
	lines := make([]string, 0, len(entries))
	for key, value := range entries {
		lines = append(lines, hex.EncodeToString([]byte(key))+"="+value)
	}
	sort.Strings(lines)
	return "{" + strings.Join(lines, ",") + "}"
}
