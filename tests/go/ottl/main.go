// The Go implementation of OTTL as a peer: it answers what upstream says about a condition and a request.
//
//	peer eval    one JSON object a line in, one a line out, in order
//	peer bench   {"texts","proto"} a line in, nanoseconds a line out
//
// A question is {"context","mode","text","proto","event"}: context is the name of a context but exemplar; mode is
// "legacy" (no context names) or "prefixed" (names are demanded, and added where they are missing); proto is an
// ExportTraceServiceRequest in base64 with one resource, scope and span, for the contexts of metrics and logs the request of
// those, with one metric, which may have one data point, or one record. The answer is {"outcome","error"} with outcome
// true, false, eval_error, parse_error or panic.
package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl/contexts/ottldatapoint"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl/contexts/ottllog"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl/contexts/ottlmetric"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl/contexts/ottlresource"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl/contexts/ottlscope"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl/contexts/ottlspan"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl/contexts/ottlspanevent"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl/ottlfuncs"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

type question struct {
	Context string `json:"context"`
	Mode    string `json:"mode"`
	Text    string `json:"text"`
	Proto   string `json:"proto"`
	Event   int    `json:"event"`
}

type answer struct {
	Outcome string `json:"outcome"`
	Error   string `json:"error,omitempty"`
}

// input is what a compiled condition is asked about.
type input struct {
	resource ptrace.ResourceSpans
	scope    ptrace.ScopeSpans
	span     ptrace.Span
	event    int

	metrics      pmetric.ResourceMetrics
	scopeMetrics pmetric.ScopeMetrics
	metric       pmetric.Metric
	point        any

	logs      plog.ResourceLogs
	scopeLogs plog.ScopeLogs
	record    plog.LogRecord
}

type predicate func(input) (bool, error)

type peer struct {
	parse map[string]func(text string) (predicate, error)
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func newPeer(settings component.TelemetrySettings) *peer {
	p := &peer{parse: map[string]func(string) (predicate, error){}}

	spanFunctions := ottlfuncs.StandardConverters[*ottlspan.TransformContext]()
	root := ottlfuncs.NewIsRootSpanFactory()
	spanFunctions[root.Name()] = root
	spanPredicate := func(condition *ottl.Condition[*ottlspan.TransformContext]) predicate {
		return func(in input) (bool, error) {
			ctx := ottlspan.NewTransformContext(in.resource, in.scope, in.span)
			defer ctx.Close()
			return condition.Eval(context.Background(), ctx)
		}
	}
	add(p, "span", settings, spanPredicate,
		must(ottlspan.NewParser(spanFunctions, settings)),
		must(ottlspan.NewParser(spanFunctions, settings, ottlspan.EnablePathContextNames())))

	eventFunctions := ottlfuncs.StandardConverters[*ottlspanevent.TransformContext]()
	eventPredicate := func(condition *ottl.Condition[*ottlspanevent.TransformContext]) predicate {
		return func(in input) (bool, error) {
			ctx := ottlspanevent.NewTransformContext(in.resource, in.scope, in.span, in.span.Events().At(in.event))
			defer ctx.Close()
			return condition.Eval(context.Background(), ctx)
		}
	}
	add(p, "spanevent", settings, eventPredicate,
		must(ottlspanevent.NewParser(eventFunctions, settings)),
		must(ottlspanevent.NewParser(eventFunctions, settings, ottlspanevent.EnablePathContextNames())))

	resourceFunctions := ottlfuncs.StandardConverters[*ottlresource.TransformContext]()
	resourcePredicate := func(condition *ottl.Condition[*ottlresource.TransformContext]) predicate {
		return func(in input) (bool, error) {
			ctx := ottlresource.NewTransformContext(in.resource.Resource(), in.resource)
			defer ctx.Close()
			return condition.Eval(context.Background(), ctx)
		}
	}
	add(p, "resource", settings, resourcePredicate,
		must(ottlresource.NewParser(resourceFunctions, settings)),
		must(ottlresource.NewParser(resourceFunctions, settings, ottlresource.EnablePathContextNames())))

	scopeFunctions := ottlfuncs.StandardConverters[*ottlscope.TransformContext]()
	scopePredicate := func(condition *ottl.Condition[*ottlscope.TransformContext]) predicate {
		return func(in input) (bool, error) {
			ctx := ottlscope.NewTransformContext(in.scope.Scope(), in.resource.Resource(), in.scope, in.resource)
			defer ctx.Close()
			return condition.Eval(context.Background(), ctx)
		}
	}
	add(p, "scope", settings, scopePredicate,
		must(ottlscope.NewParser(scopeFunctions, settings)),
		must(ottlscope.NewParser(scopeFunctions, settings, ottlscope.EnablePathContextNames())))

	metricPredicate := func(condition *ottl.Condition[*ottlmetric.TransformContext]) predicate {
		return func(in input) (bool, error) {
			ctx := ottlmetric.NewTransformContext(in.metrics, in.scopeMetrics, in.metric)
			defer ctx.Close()
			return condition.Eval(context.Background(), ctx)
		}
	}
	metricFunctions := ottlfuncs.StandardConverters[*ottlmetric.TransformContext]()
	add(p, "metric", settings, metricPredicate,
		must(ottlmetric.NewParser(metricFunctions, settings)),
		must(ottlmetric.NewParser(metricFunctions, settings, ottlmetric.EnablePathContextNames())))

	pointPredicate := func(condition *ottl.Condition[*ottldatapoint.TransformContext]) predicate {
		return func(in input) (bool, error) {
			ctx := ottldatapoint.NewTransformContext(in.metrics, in.scopeMetrics, in.metric, in.point)
			defer ctx.Close()
			return condition.Eval(context.Background(), ctx)
		}
	}
	pointFunctions := ottlfuncs.StandardConverters[*ottldatapoint.TransformContext]()
	add(p, "datapoint", settings, pointPredicate,
		must(ottldatapoint.NewParser(pointFunctions, settings)),
		must(ottldatapoint.NewParser(pointFunctions, settings, ottldatapoint.EnablePathContextNames())))

	logPredicate := func(condition *ottl.Condition[*ottllog.TransformContext]) predicate {
		return func(in input) (bool, error) {
			ctx := ottllog.NewTransformContext(in.logs, in.scopeLogs, in.record)
			defer ctx.Close()
			return condition.Eval(context.Background(), ctx)
		}
	}
	logFunctions := ottlfuncs.StandardConverters[*ottllog.TransformContext]()
	add(p, "log", settings, logPredicate,
		must(ottllog.NewParser(logFunctions, settings)),
		must(ottllog.NewParser(logFunctions, settings, ottllog.EnablePathContextNames())))
	return p
}

func add[K any](
	p *peer,
	name string,
	settings component.TelemetrySettings,
	bind func(*ottl.Condition[K]) predicate,
	legacy, prefixed ottl.Parser[K],
) {
	p.parse[name+"/legacy"] = func(text string) (predicate, error) {
		condition, err := legacy.ParseCondition(text)
		if err != nil {
			return nil, err
		}
		return bind(condition), nil
	}
	convert := func(_ *ottl.ParserCollection[predicate], _ ottl.ConditionsGetter, parsed []*ottl.Condition[K]) (predicate, error) {
		return bind(parsed[0]), nil
	}
	collection := must(ottl.NewParserCollection[predicate](settings,
		ottl.WithParserCollectionContext[K, predicate](name, &prefixed, ottl.WithConditionConverter[K, predicate](convert))))
	p.parse[name+"/prefixed"] = func(text string) (predicate, error) {
		return collection.ParseConditionsWithContext(name, ottl.NewConditionsGetter([]string{text}), true)
	}
}

func (p *peer) answer(q question) (a answer) {
	defer func() {
		if cause := recover(); cause != nil {
			a = answer{"panic", fmt.Sprint(cause)}
		}
	}()
	parse, ok := p.parse[q.Context+"/"+q.Mode]
	if !ok {
		return answer{"bad_question", "unknown context or mode"}
	}
	ask, err := parse(q.Text)
	if err != nil {
		return answer{"parse_error", err.Error()}
	}
	in, err := decode(q.Context, q.Proto, q.Event)
	if err != nil {
		return answer{"bad_question", err.Error()}
	}
	holds, err := ask(in)
	if err != nil {
		return answer{"eval_error", err.Error()}
	}
	return answer{fmt.Sprint(holds), ""}
}

func decode(name, proto string, event int) (input, error) {
	bytes, err := base64.StdEncoding.DecodeString(proto)
	if err != nil {
		return input{}, err
	}
	switch name {
	case "metric", "datapoint":
		metrics, err := (&pmetric.ProtoUnmarshaler{}).UnmarshalMetrics(bytes)
		if err != nil {
			return input{}, err
		}
		resource := metrics.ResourceMetrics().At(0)
		scope := resource.ScopeMetrics().At(0)
		metric := scope.Metrics().At(0)
		return input{metrics: resource, scopeMetrics: scope, metric: metric, point: firstPoint(metric)}, nil
	case "log":
		logs, err := (&plog.ProtoUnmarshaler{}).UnmarshalLogs(bytes)
		if err != nil {
			return input{}, err
		}
		resource := logs.ResourceLogs().At(0)
		scope := resource.ScopeLogs().At(0)
		return input{logs: resource, scopeLogs: scope, record: scope.LogRecords().At(0)}, nil
	}
	traces, err := (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(bytes)
	if err != nil {
		return input{}, err
	}
	resource := traces.ResourceSpans().At(0)
	scope := resource.ScopeSpans().At(0)
	return input{resource: resource, scope: scope, span: scope.Spans().At(0), event: event}, nil
}

// firstPoint is the first data point of a metric, or an empty one of its kind.
func firstPoint(metric pmetric.Metric) any {
	switch metric.Type() {
	case pmetric.MetricTypeSum:
		if metric.Sum().DataPoints().Len() > 0 {
			return metric.Sum().DataPoints().At(0)
		}
	case pmetric.MetricTypeGauge:
		if metric.Gauge().DataPoints().Len() > 0 {
			return metric.Gauge().DataPoints().At(0)
		}
	case pmetric.MetricTypeHistogram:
		if metric.Histogram().DataPoints().Len() > 0 {
			return metric.Histogram().DataPoints().At(0)
		}
		return pmetric.NewHistogramDataPoint()
	case pmetric.MetricTypeExponentialHistogram:
		if metric.ExponentialHistogram().DataPoints().Len() > 0 {
			return metric.ExponentialHistogram().DataPoints().At(0)
		}
		return pmetric.NewExponentialHistogramDataPoint()
	case pmetric.MetricTypeSummary:
		if metric.Summary().DataPoints().Len() > 0 {
			return metric.Summary().DataPoints().At(0)
		}
		return pmetric.NewSummaryDataPoint()
	}
	return pmetric.NewNumberDataPoint()
}

func eval(p *peer) {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriter(os.Stdout)
	encode := json.NewEncoder(out)
	for {
		// Line by line: a decoder over the stream would leave line ends in the buffer, and then nothing would be flushed.
		line, err := in.ReadBytes('\n')
		if err == io.EOF {
			break
		}
		var q question
		if err == nil {
			err = json.Unmarshal(line, &q)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		if err := encode.Encode(p.answer(q)); err != nil {
			os.Exit(1)
		}
		// An answer goes out as soon as nothing more waits, so that questions can come one at a time too.
		if in.Buffered() == 0 {
			out.Flush()
		}
	}
	out.Flush()
}

// benchmark is a list of conditions in the span context, and an ExportTraceServiceRequest in base64.
type benchmark struct {
	Texts []string `json:"texts"`
	Proto string   `json:"proto"`
}

// bench answers each benchmark with two times of an evaluation on the decoded span, in nanoseconds: of the evaluation alone,
// and with the context object that a span is wrapped in for it. A list is run as the filter runs it. Decoding is not counted.
func bench() {
	settings := componenttest.NewNopTelemetrySettings()
	functions := ottlfuncs.StandardConverters[*ottlspan.TransformContext]()
	root := ottlfuncs.NewIsRootSpanFactory()
	functions[root.Name()] = root
	parser := must(ottlspan.NewParser(functions, settings, ottlspan.EnablePathContextNames()))
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	for {
		line, err := in.ReadBytes('\n')
		if err == io.EOF {
			return
		}
		var b benchmark
		if err == nil {
			err = json.Unmarshal(line, &b)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		span := must(decode("span", b.Proto, 0))
		conditions := must(parser.ParseConditions(b.Texts))
		evaluate := conditions[0].Eval
		if len(conditions) > 1 {
			sequence := ottl.NewConditionSequence(conditions, settings,
				ottl.WithConditionSequenceErrorMode[*ottlspan.TransformContext](ottl.IgnoreError))
			evaluate = sequence.Eval
		}
		ctx := ottlspan.NewTransformContext(span.resource, span.scope, span.span)
		alone := fastest(func() { must(evaluate(context.Background(), ctx)) })
		whole := fastest(func() {
			ctx := ottlspan.NewTransformContext(span.resource, span.scope, span.span)
			must(evaluate(context.Background(), ctx))
			ctx.Close()
		})
		fmt.Printf("%.2f %.2f\n", alone, whole)
	}
}

// fastest is the time of one call in the fastest of many short runs: what other processes take away is left out, and so
// is most of the garbage collector's work.
func fastest(call func()) float64 {
	n := 1
	for {
		start := time.Now()
		for range n {
			call()
		}
		if time.Since(start) > 200*time.Microsecond {
			break
		}
		n *= 2
	}
	best := time.Duration(1 << 62)
	for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end); {
		start := time.Now()
		for range n {
			call()
		}
		best = min(best, time.Since(start))
	}
	return float64(best.Nanoseconds()) / float64(n)
}

func main() {
	time.Local = time.UTC
	switch {
	case len(os.Args) == 2 && os.Args[1] == "eval":
		eval(newPeer(componenttest.NewNopTelemetrySettings()))
	case len(os.Args) == 2 && os.Args[1] == "bench":
		bench()
	default:
		fmt.Fprintln(os.Stderr, "usage: peer eval|bench")
		os.Exit(2)
	}
}
