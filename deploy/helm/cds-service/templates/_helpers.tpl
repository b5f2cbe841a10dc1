{{- /* SPDX-License-Identifier: Apache-2.0 */ -}}
{{- define "cds.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 48 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 48 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "cds.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "cds.labels" -}}
{{ include "cds.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
{{- end }}

{{- define "cds.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{- define "cds.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "cds.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- /* What every pod has in common, below its template's spec. */ -}}
{{- define "cds.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
securityContext: {{ include "cds.podSecurity" . | nindent 2 }}
{{- with .Values.nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{ toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "cds.databaseEnv" -}}
{{- if eq .Values.database.kind "postgresql" }}
- {name: CDS_DATABASE_URL_FILE, value: /etc/cds-service/database/url}
{{- else }}
- {name: CDS_DATABASE_URL, value: "sqlite:////var/lib/cds-service/cds-service.db"}
{{- end }}
{{- end }}

{{- define "cds.authoritiesEnv" -}}
{{- if .Values.authorities.existingConfigMap }}
- {name: CDS_AUTHORITIES, value: /etc/cds-service/authorities/ca.crt}
{{- end }}
{{- end }}

{{- /* Of the worker and the listener: what probes and Prometheus ask. */ -}}
{{- define "cds.statusEnv" -}}
- {name: CDS_STATUS_HOST, value: {{ .Values.listenOn | quote }}}
- {name: CDS_STATUS_PORT, value: "8001"}
{{- end }}

{{- define "cds.statusProbes" -}}
startupProbe:
  httpGet: {path: /health, port: status}
  periodSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /health, port: status}
  periodSeconds: 30
  timeoutSeconds: 5
  failureThreshold: 3
readinessProbe:
  httpGet: {path: /ready, port: status}
  periodSeconds: 10
  timeoutSeconds: 3
  failureThreshold: 3
{{- end }}

{{- define "cds.env" -}}
- {name: CDS_HOST, value: {{ .Values.listenOn | quote }}}
- {name: CDS_PORT, value: "8000"}
- {name: CDS_PUBLIC_URL, value: {{ .Values.publicUrl | quote }}}
- {name: CDS_TRUSTED_PROXIES, value: {{ .Values.trustedProxies | quote }}}
- {name: CDS_CLIENTS, value: /etc/cds-service/clients/clients.yaml}
{{ include "cds.databaseEnv" . | trim }}
{{- if .Values.fhirServers.existingSecret }}
- {name: CDS_FHIR_SERVERS, value: /etc/cds-service/servers/servers.yaml}
{{- end }}
{{- if .Values.signingKeys.existingSecret }}
- {name: CDS_SIGNING_KEYS, value: /run/cds-service/keys/keys.json}
{{- end }}
{{- if .Values.siteFile.existingConfigMap }}
- {name: CDS_SITE_FILE, value: /etc/cds-service/site/site.yaml}
{{- end }}
{{- if .Values.secrets.existingSecret }}
- {name: CDS_HASH_KEY_FILE, value: /etc/cds-service/secrets/hash-key}
{{- if .Values.secrets.hasSubscriptionKey }}
- {name: CDS_SUBSCRIPTION_KEY_FILE, value: /etc/cds-service/secrets/subscription-key}
{{- end }}
{{- end }}
{{- if .Values.authorities.existingConfigMap }}
{{ include "cds.authoritiesEnv" . | trim }}
{{- end }}
{{- if .Values.traces.endpoint }}
- {name: CDS_TRACES, value: otlp}
- {name: CDS_TRACES_SHARE, value: {{ .Values.traces.share | quote }}}
- {name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ .Values.traces.endpoint | quote }}}
{{- if .Values.authorities.existingConfigMap }}
- {name: OTEL_EXPORTER_OTLP_CERTIFICATE, value: /etc/cds-service/authorities/ca.crt}
{{- end }}
{{- end }}
{{- range $name, $value := .Values.settings }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- end }}

{{- /* Folder below /etc/cds-service and the volume that is there, one a line: secret or configMap. */ -}}
{{- define "cds.given" -}}
clients: {secret: {{ .Values.clients.existingSecret }}}
{{- if eq .Values.database.kind "postgresql" }}
database: {secret: {{ .Values.database.existingSecret }}}
{{- end }}
{{- with .Values.fhirServers.existingSecret }}
servers: {secret: {{ . }}}
{{- end }}
{{- with .Values.secrets.existingSecret }}
secrets: {secret: {{ . }}}
{{- end }}
{{- with .Values.authorities.existingConfigMap }}
authorities: {configMap: {{ . }}}
{{- end }}
{{- with .Values.siteFile.existingConfigMap }}
site: {configMap: {{ . }}}
{{- end }}
{{- end }}

{{- define "cds.mounts" -}}
- {name: tmp, mountPath: /tmp}
- {name: state, mountPath: /var/lib/cds-service}
{{- range $folder, $_ := fromYaml (include "cds.given" .) }}
- {name: {{ $folder }}, mountPath: /etc/cds-service/{{ $folder }}, readOnly: true}
{{- end }}
{{- if .Values.signingKeys.existingSecret }}
- {name: keys, mountPath: /run/cds-service/keys, readOnly: true}
{{- end }}
{{- end }}

{{- define "cds.volumes" -}}
- {name: tmp, emptyDir: {}}
{{- if eq .Values.database.kind "sqlite" }}
- {name: state, persistentVolumeClaim: {claimName: {{ include "cds.name" . }}}}
{{- else }}
- {name: state, emptyDir: {}}
{{- end }}
{{- range $folder, $from := fromYaml (include "cds.given" .) }}
{{- if $from.secret }}
- {name: {{ $folder }}, secret: {secretName: {{ $from.secret }}, defaultMode: 0440}}
{{- else }}
- {name: {{ $folder }}, configMap: {name: {{ $from.configMap }}}}
{{- end }}
{{- end }}
{{- with .Values.signingKeys.existingSecret }}
- {name: keys-given, secret: {secretName: {{ . }}, defaultMode: 0440}}
- {name: keys, emptyDir: {medium: Memory}}
{{- end }}
{{- end }}

{{- /* The service takes a file of keys only if nobody but its owner may read it, and a Secret's file
       belongs to root and is read by the group. */ -}}
{{- define "cds.keysInit" -}}
{{- if .Values.signingKeys.existingSecret }}
initContainers:
  - name: keys
    image: {{ include "cds.image" . }}
    imagePullPolicy: {{ .Values.image.pullPolicy }}
    command: [/usr/bin/python3, -c]
    args:
      - |
        import os
        from pathlib import Path
        os.umask(0o077)
        Path("/run/cds-service/keys/keys.json").write_bytes(Path("/given/keys.json").read_bytes())
    securityContext: {{ include "cds.containerSecurity" . | nindent 6 }}
    resources: {requests: {cpu: 50m, memory: 32Mi}, limits: {memory: 128Mi}}
    volumeMounts:
      - {name: keys-given, mountPath: /given, readOnly: true}
      - {name: keys, mountPath: /run/cds-service/keys}
{{- end }}
{{- end }}
