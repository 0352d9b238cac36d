use super::*;

#[test]
fn mistakes_are_named() {
    let refusals = [
        "auth_type: magic",
        "auth_type: tls",
        "{kube_api_qps: -1, kube_api_burst: -1, watch_sync_period: -1s, pod_delete_grace_period: -1s}",
        "extract: {metadata: [k8s.pod.name, k8s.pod.nam]}",
        "extract: {labels: [{key: a, key_regex: b}, {from: pod}, {key: a, from: service}, {key_regex: '('}]}",
        "filter: {labels: [{key: a, op: like}, {op: exists}], fields: [{key: a, op: exists}]}",
        "filter: {node_from_env_var: OTTLCOL_NO_SUCH_VARIABLE}",
        "pod_association: [{sources: [{from: connection}, {from: connection}, {from: connection}, {from: connection}, {from: connection}]}]",
        "pod_association: [{sources: [{from: connection}]}, {sources: [{from: connection}]}]",
        "pod_association: [{sources: [{from: resource_attribute, name: a}, {from: resource_attribute, name: b}]}, {sources: [{from: resource_attribute, name: b}, {from: resource_attribute, name: a}]}]",
        "pod_association: [{sources: []}, {sources: [{from: label}]}, {sources: [{from: resource_attribute}]}]",
        "exclude: {pods: [{name: '['}]}",
        "kubelet: {enabled: true}",
        "extract: {metadat: []}",
    ];
    let text: Vec<_> = refusals
        .iter()
        .map(|yaml| {
            let texts = parsed(yaml, Conventions { old: false, new: true }).err().unwrap();
            format!("{yaml}\n  {}", texts.join("\n  "))
        })
        .collect();
    insta::assert_snapshot!(text.join("\n"));
    assert!(parsed("", Conventions { old: false, new: false }).is_err());
}

#[test]
fn defaults_are_upstreams() {
    let (config, settings) = plan("");
    assert_eq!(config.pod_delete_grace_period.span(), Duration::from_secs(120));
    assert!(settings.associations.is_empty() && settings.selection == Default::default());
    let wanted = settings.rules.wanted;
    assert!(wanted.image_tags && !wanted.image_tag && wanted.deployment_name && !wanted.pod_ip);
    assert!(parsed("{kubelet: {enabled: false}, watch_sync_period: 0s}", settings.rules.conventions).is_ok());
}

#[test]
fn the_server_selects_pods() {
    let (_, settings) = plan(
        "filter: {node: n1, namespace: shop, fields: [{key: status.phase, value: 'a,b', op: not-equals}], labels: [\
         {key: a, value: b}, {key: c, value: d, op: not-equals}, {key: e, op: exists}, {key: f, op: does-not-exist}]}",
    );
    assert_eq!(settings.selection.labels, "a=b,c!=d,e,!f");
    assert_eq!(settings.selection.fields, r"status.phase!=a\,b,spec.nodeName=n1");
    assert_eq!(settings.selection.namespace, "shop");
}
