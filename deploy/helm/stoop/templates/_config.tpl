{{- /* What the worker is told: `config` with what the chart adds. As JSON, for fromJson. */ -}}
{{- define "stoop.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- $_ := set $config "namespace" .Release.Namespace -}}
{{- $_ := set $config "playbooks" (list "/etc/stoop/playbooks") -}}
{{- range $name, $subscription := $config.subscriptions -}}
{{- if hasKey $subscription "journal" -}}
{{- $journal := default dict $subscription.journal -}}
{{- if not (hasKey $journal "path") -}}
{{- $_ := set $journal "path" (printf "/var/lib/stoop/%s" $name) -}}
{{- end -}}
{{- $_ := set $subscription "journal" $journal -}}
{{- end -}}
{{- end -}}
{{- if .Values.killSwitch.create -}}
{{- $switch := default dict $config.killSwitch -}}
{{- if not (hasKey $switch "configMap") -}}
{{- $_ := set $switch "configMap" (printf "%s-kill-switch" (include "stoop.fullname" .)) -}}
{{- end -}}
{{- $_ := set $config "killSwitch" $switch -}}
{{- end -}}
{{- toJson $config -}}
{{- end -}}

{{- /* The journals by the name of their subscription, as JSON. */ -}}
{{- define "stoop.journals" -}}
{{- $journals := dict -}}
{{- range $name, $subscription := (include "stoop.config" . | fromJson).subscriptions -}}
{{- with $subscription.journal -}}
{{- $_ := set $journals $name . -}}
{{- end -}}
{{- end -}}
{{- toJson $journals -}}
{{- end -}}

{{- /* The port of `host:port`, or nothing where only its own pod reaches it. */ -}}
{{- define "stoop.port" -}}
{{- if not (regexMatch `^(127\.|\[::1\]|localhost:)` .) -}}
{{- regexFind `[0-9]+$` . -}}
{{- end -}}
{{- end -}}

{{- /* What listens beyond loopback but health, as JSON: a list of {name, port, from}, `from` being the key of networkPolicy. */ -}}
{{- define "stoop.listeners" -}}
{{- $config := include "stoop.config" . | fromJson -}}
{{- $all := list -}}
{{- $index := 0 -}}
{{- range $name, $journal := include "stoop.journals" . | fromJson -}}
{{- with include "stoop.port" (default "127.0.0.1:2805" $journal.listen) -}}
{{- $all = append $all (dict "name" (printf "intake-%d" $index) "port" (int .) "from" "intake") -}}
{{- end -}}
{{- $index = add1 $index -}}
{{- end -}}
{{- with include "stoop.port" (default "127.0.0.1:2807" (default dict $config.control).listen) -}}
{{- $all = append $all (dict "name" "control" "port" (int .) "from" "control") -}}
{{- end -}}
{{- with (default dict $config.approvals).listen -}}
{{- with include "stoop.port" . -}}
{{- $all = append $all (dict "name" "approvals" "port" (int .) "from" "approvals") -}}
{{- end -}}
{{- end -}}
{{- with (default dict $config.evidence).uploads -}}
{{- with include "stoop.port" (default "0.0.0.0:2809" .listen) -}}
{{- $all = append $all (dict "name" "uploads" "port" (int .) "from" "uploads") -}}
{{- end -}}
{{- end -}}
{{- toJson $all -}}
{{- end -}}

{{- define "stoop.healthPort" -}}
{{- include "stoop.port" (default "0.0.0.0:2806" (default dict .Values.config.health).listen) -}}
{{- end -}}

{{- /* The ports of the brokers that the configuration names, and more that the values do, as JSON. */ -}}
{{- define "stoop.brokerPorts" -}}
{{- $ports := .Values.networkPolicy.brokers.ports -}}
{{- range list .Values.config.subscriptions .Values.config.destinations -}}
{{- range . -}}
{{- range (default dict .kafka).brokers -}}
{{- $ports = append $ports (regexFind `[0-9]+$` . | default "9092") -}}
{{- end -}}
{{- range (default dict .nats).servers -}}
{{- $ports = append $ports (regexFind `[0-9]+$` . | default "4222") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $numbers := list -}}
{{- range $ports -}}
{{- $numbers = append $numbers (int .) -}}
{{- end -}}
{{- toJson (uniq $numbers) -}}
{{- end -}}

{{- /* limits.drain in whole seconds, rounded up. */ -}}
{{- define "stoop.drainSeconds" -}}
{{- $text := default "20s" (default dict .Values.config.limits).drain -}}
{{- $milliseconds := dict "ms" 1 "msec" 1 "s" 1000 "sec" 1000 "secs" 1000 "second" 1000 "seconds" 1000 "m" 60000 "min" 60000 "mins" 60000 "minute" 60000 "minutes" 60000 "h" 3600000 "hr" 3600000 "hrs" 3600000 "hour" 3600000 "hours" 3600000 "d" 86400000 "day" 86400000 -}}
{{- if not (regexMatch `^ *([0-9]+ *[a-z]+ *)+$` $text) -}}
{{- fail (printf "config.limits.drain: `%s` is no length of time: write it as 20s, 5m or 1h 30m" $text) -}}
{{- end -}}
{{- $sum := 0 -}}
{{- range regexFindAll `[0-9]+ *[a-z]+` $text -1 -}}
{{- $unit := regexFind `[a-z]+` . -}}
{{- if not (hasKey $milliseconds $unit) -}}
{{- fail (printf "config.limits.drain: the chart can't tell how long a `%s` is, and so not how long a pod may take to end: write it in ms, s, m or h" $unit) -}}
{{- end -}}
{{- $sum = add $sum (mul (regexFind `[0-9]+` . | atoi) (get $milliseconds $unit)) -}}
{{- end -}}
{{- div (add $sum 999) 1000 -}}
{{- end -}}
