// The Go implementation of OTTL as a peer: it answers what upstream says about a condition and a request.
//
//	peer eval    one JSON object a line in, one a line out, in order
//	peer bench   {"texts","proto"} a line in, nanoseconds a line out
//
// A question is {"kind","context","mode","text","proto","event"}: kind is "condition" or "value"; context is the name of a
// context but exemplar; mode is "legacy" (no context names) or "prefixed" (names are demanded, and added where they are
// missing); proto is an ExportTraceServiceRequest in base64 with one resource, scope and span, for the contexts of metrics
// and logs the request of those, with one metric, which may have one data point, or one record. The answer is
// {"outcome","error"} with outcome true, false, eval_error, parse_error or panic; for a value, value with "value", a text
// of which each Go type and each content has its own.
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
	Kind    string `json:"kind"`
	Context string `json:"context"`
	Mode    string `json:"mode"`
	Text    string `json:"text"`
	Proto   string `json:"proto"`
	Event   int    `json:"event"`
}

type answer struct {
	Outcome string `json:"outcome"`
	Error   string `json:"error,omitempty"`
	Value   string `json:"value,omitempty"`
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

// evaluator is a compiled text: a condition's gives a bool.
type evaluator func(input) (any, error)

type peer struct {
	parse map[string]func(text string) (evaluator, error)
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// with makes a context object of an input for the time that ask runs.
type with[K any] func(in input, ask func(K) (any, error)) (any, error)

func newPeer(settings component.TelemetrySettings) *peer {
	p := &peer{parse: map[string]func(string) (evaluator, error){}}

	spanFunctions := ottlfuncs.StandardConverters[*ottlspan.TransformContext]()
	root := ottlfuncs.NewIsRootSpanFactory()
	spanFunctions[root.Name()] = root
	add(p, "span", settings,
		func(in input, ask func(*ottlspan.TransformContext) (any, error)) (any, error) {
			ctx := ottlspan.NewTransformContext(in.resource, in.scope, in.span)
			defer ctx.Close()
			return ask(ctx)
		},
		must(ottlspan.NewParser(spanFunctions, settings)),
		must(ottlspan.NewParser(spanFunctions, settings, ottlspan.EnablePathContextNames())))

	spaneventFunctions := ottlfuncs.StandardConverters[*ottlspanevent.TransformContext]()
	add(p, "spanevent", settings,
		func(in input, ask func(*ottlspanevent.TransformContext) (any, error)) (any, error) {
			ctx := ottlspanevent.NewTransformContext(in.resource, in.scope, in.span, in.span.Events().At(in.event))
			defer ctx.Close()
			return ask(ctx)
		},
		must(ottlspanevent.NewParser(spaneventFunctions, settings)),
		must(ottlspanevent.NewParser(spaneventFunctions, settings, ottlspanevent.EnablePathContextNames())))

	resourceFunctions := ottlfuncs.StandardConverters[*ottlresource.TransformContext]()
	add(p, "resource", settings,
		func(in input, ask func(*ottlresource.TransformContext) (any, error)) (any, error) {
			ctx := ottlresource.NewTransformContext(in.resource.Resource(), in.resource)
			defer ctx.Close()
			return ask(ctx)
		},
		must(ottlresource.NewParser(resourceFunctions, settings)),
		must(ottlresource.NewParser(resourceFunctions, settings, ottlresource.EnablePathContextNames())))

	scopeFunctions := ottlfuncs.StandardConverters[*ottlscope.TransformContext]()
	add(p, "scope", settings,
		func(in input, ask func(*ottlscope.TransformContext) (any, error)) (any, error) {
			ctx := ottlscope.NewTransformContext(in.scope.Scope(), in.resource.Resource(), in.scope, in.resource)
			defer ctx.Close()
			return ask(ctx)
		},
		must(ottlscope.NewParser(scopeFunctions, settings)),
		must(ottlscope.NewParser(scopeFunctions, settings, ottlscope.EnablePathContextNames())))

	metricFunctions := ottlfuncs.StandardConverters[*ottlmetric.TransformContext]()
	add(p, "metric", settings,
		func(in input, ask func(*ottlmetric.TransformContext) (any, error)) (any, error) {
			ctx := ottlmetric.NewTransformContext(in.metrics, in.scopeMetrics, in.metric)
			defer ctx.Close()
			return ask(ctx)
		},
		must(ottlmetric.NewParser(metricFunctions, settings)),
		must(ottlmetric.NewParser(metricFunctions, settings, ottlmetric.EnablePathContextNames())))

	datapointFunctions := ottlfuncs.StandardConverters[*ottldatapoint.TransformContext]()
	add(p, "datapoint", settings,
		func(in input, ask func(*ottldatapoint.TransformContext) (any, error)) (any, error) {
			ctx := ottldatapoint.NewTransformContext(in.metrics, in.scopeMetrics, in.metric, in.point)
			defer ctx.Close()
			return ask(ctx)
		},
		must(ottldatapoint.NewParser(datapointFunctions, settings)),
		must(ottldatapoint.NewParser(datapointFunctions, settings, ottldatapoint.EnablePathContextNames())))

	logFunctions := ottlfuncs.StandardConverters[*ottllog.TransformContext]()
	add(p, "log", settings,
		func(in input, ask func(*ottllog.TransformContext) (any, error)) (any, error) {
			ctx := ottllog.NewTransformContext(in.logs, in.scopeLogs, in.record)
			defer ctx.Close()
			return ask(ctx)
		},
		must(ottllog.NewParser(logFunctions, settings)),
		must(ottllog.NewParser(logFunctions, settings, ottllog.EnablePathContextNames())))
	return p
}

func add[K any](p *peer, name string, settings component.TelemetrySettings, make with[K], legacy, prefixed ottl.Parser[K]) {
	condition := func(condition *ottl.Condition[K]) evaluator {
		return func(in input) (any, error) {
			return make(in, func(ctx K) (any, error) { return condition.Eval(context.Background(), ctx) })
		}
	}
	value := func(value *ottl.ValueExpression[K]) evaluator {
		return func(in input) (any, error) {
			return make(in, func(ctx K) (any, error) { return value.Eval(context.Background(), ctx) })
		}
	}
	p.parse["condition/"+name+"/legacy"] = func(text string) (evaluator, error) {
		parsed, err := legacy.ParseCondition(text)
		if err != nil {
			return nil, err
		}
		return condition(parsed), nil
	}
	p.parse["value/"+name+"/legacy"] = func(text string) (evaluator, error) {
		parsed, err := legacy.ParseValueExpression(text)
		if err != nil {
			return nil, err
		}
		return value(parsed), nil
	}
	conditions := func(_ *ottl.ParserCollection[evaluator], _ ottl.ConditionsGetter, parsed []*ottl.Condition[K]) (evaluator, error) {
		return condition(parsed[0]), nil
	}
	values := func(_ *ottl.ParserCollection[evaluator], _ ottl.ValueExpressionsGetter, parsed []*ottl.ValueExpression[K]) (evaluator, error) {
		return value(parsed[0]), nil
	}
	collection := must(ottl.NewParserCollection[evaluator](settings,
		ottl.WithParserCollectionContext[K, evaluator](name, &prefixed,
			ottl.WithConditionConverter[K, evaluator](conditions),
			ottl.WithValueExpressionConverter[K, evaluator](values))))
	p.parse["condition/"+name+"/prefixed"] = func(text string) (evaluator, error) {
		return collection.ParseConditionsWithContext(name, ottl.NewConditionsGetter([]string{text}), true)
	}
	p.parse["value/"+name+"/prefixed"] = func(text string) (evaluator, error) {
		return collection.ParseValueExpressionsWithContext(name, ottl.NewValueExpressionsGetter([]string{text}), true)
	}
}

func (p *peer) answer(q question) (a answer) {
	defer func() {
		if cause := recover(); cause != nil {
			a = answer{Outcome: "panic", Error: fmt.Sprint(cause)}
		}
	}()
	parse, ok := p.parse[q.Kind+"/"+q.Context+"/"+q.Mode]
	if !ok {
		return answer{Outcome: "bad_question", Error: "unknown kind, context or mode"}
	}
	ask, err := parse(q.Text)
	if err != nil {
		return answer{Outcome: "parse_error", Error: err.Error()}
	}
	in, err := decode(q.Context, q.Proto, q.Event)
	if err != nil {
		return answer{Outcome: "bad_question", Error: err.Error()}
	}
	first := evaluated(q, ask, in)
	for range nRepeated {
		if again := evaluated(q, ask, in); again != first {
			return answer{Outcome: "varies"}
		}
	}
	return first
}

// nRepeated is how often an evaluation is made again: the order of Go's maps and addresses in texts differ each time.
const nRepeated = 5

func evaluated(q question, ask evaluator, in input) answer {
	found, err := ask(in)
	switch {
	case err != nil:
		return answer{Outcome: "eval_error"}
	case q.Kind == "value":
		return answer{Outcome: "value", Value: describe(found)}
	default:
		return answer{Outcome: fmt.Sprint(found)}
	}
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
	for end := time.Now().Add(40 * time.Millisecond); time.Now().Before(end); {
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
