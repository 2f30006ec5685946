// Reads rules and expressions as Prometheus does, and plays alerts on series.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
)

// step is how often alerts are evaluated.
const step = 15 * time.Second

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 2 && args[0] == "alerts" {
		return printAlerts(args[1])
	}
	if len(args) == 1 && args[0] == "metrics" {
		return printMetrics()
	}
	if len(args) == 2 && args[0] == "play" {
		return printPlayed(args[1])
	}
	return fmt.Errorf("usage: prometheus alerts RULES | metrics < EXPRESSIONS | play RULES < SERIES")
}

type alert struct {
	Name        string            `json:"name"`
	Expr        string            `json:"expr"`
	For         string            `json:"for"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

func read(file string) ([]rulefmt.Rule, error) {
	groups, errs := rulefmt.ParseFile(file, false, model.UTF8Validation)
	if len(errs) > 0 {
		return nil, fmt.Errorf("%v", errs)
	}
	var rules []rulefmt.Rule
	for _, group := range groups.Groups {
		rules = append(rules, group.Rules...)
	}
	return rules, nil
}

func printAlerts(file string) error {
	rules, err := read(file)
	if err != nil {
		return err
	}
	alerts := []alert{}
	for _, rule := range rules {
		alerts = append(alerts, alert{rule.Alert, rule.Expr, rule.For.String(), rule.Labels, rule.Annotations})
	}
	return json.NewEncoder(os.Stdout).Encode(alerts)
}

// printMetrics prints the names of the metrics of each expression.
func printMetrics() error {
	var expressions []string
	if err := json.NewDecoder(os.Stdin).Decode(&expressions); err != nil {
		return err
	}
	all := [][]string{}
	for _, text := range expressions {
		expression, err := parser.ParseExpr(text)
		if err != nil {
			return fmt.Errorf("%s: %w", text, err)
		}
		names := []string{}
		parser.Inspect(expression, func(node parser.Node, _ []parser.Node) error {
			if selector, ok := node.(*parser.VectorSelector); ok {
				names = append(names, selector.Name)
			}
			return nil
		})
		slices.Sort(names)
		all = append(all, slices.Compact(names))
	}
	return json.NewEncoder(os.Stdout).Encode(all)
}

type scene struct {
	// Series as promqltest's `load` command takes them.
	Load string `json:"load"`
	// When it is looked, in seconds.
	At int64 `json:"at"`
}

// printPlayed prints for each scene the alerts that fire. One fires where its expression has held for as long as it says.
func printPlayed(file string) error {
	rules, err := read(file)
	if err != nil {
		return err
	}
	var scenes []scene
	if err := json.NewDecoder(os.Stdin).Decode(&scenes); err != nil {
		return err
	}
	all := [][]string{}
	for _, scene := range scenes {
		firing, err := play(rules, scene)
		if err != nil {
			return err
		}
		all = append(all, firing)
	}
	return json.NewEncoder(os.Stdout).Encode(all)
}

func play(rules []rulefmt.Rule, scene scene) ([]string, error) {
	loader, err := promqltest.NewLazyLoader(scene.Load, promqltest.LazyLoaderOpts{EnableAtModifier: true, EnableNegativeOffset: true})
	if err != nil {
		return nil, err
	}
	defer loader.Close()
	end := time.Unix(scene.At, 0).UTC()
	loader.WithSamplesTill(end, func(failed error) { err = failed })
	if err != nil {
		return nil, err
	}
	firing := []string{}
	for _, rule := range rules {
		held := map[string]int{}
		steps := 0
		for at := end.Add(-time.Duration(rule.For)); !at.After(end); at = at.Add(step) {
			steps++
			found, err := evaluate(loader, rule.Expr, at)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", rule.Alert, err)
			}
			for _, sample := range found {
				held[sample.Metric.String()]++
			}
		}
		for _, times := range held {
			if times == steps && !slices.Contains(firing, rule.Alert) {
				firing = append(firing, rule.Alert)
			}
		}
	}
	slices.Sort(firing)
	return firing, nil
}

func evaluate(loader *promqltest.LazyLoader, text string, at time.Time) (promql.Vector, error) {
	query, err := loader.QueryEngine().NewInstantQuery(loader.Context(), loader.Queryable(), nil, text, at)
	if err != nil {
		return nil, err
	}
	defer query.Close()
	result := query.Exec(loader.Context())
	if result.Err != nil {
		return nil, result.Err
	}
	vector, err := result.Vector()
	if err != nil {
		return nil, err
	}
	// Labels that a rule can't rely on.
	for i := range vector {
		vector[i].Metric = labels.NewBuilder(vector[i].Metric).Del(labels.MetricName).Labels()
	}
	return slices.Clone(vector), nil
}
