//! Calls as clients in three languages send them.

use super::array;
use surfstore::value::Value;
use surfstore::xmlrpc::parse_call;

fn assert_update(document: &str, hashes: Value) {
    let call = parse_call(document.as_bytes()).expect("the call is readable");
    assert_eq!(call.method, "surfstore.updatefile");
    assert_eq!(call.params, Ok(vec!["a & b.txt".into(), Value::Int(1), hashes]));
}

#[test]
fn a_call_from_pythons_xmlrpc_client_is_read() {
    let document = "<?xml version='1.0'?>\n<methodCall>\n<methodName>surfstore.updatefile</methodName>\n<params>\n<param>\n\
        <value><string>a &amp; b.txt</string></value>\n</param>\n<param>\n<value><int>1</int></value>\n</param>\n<param>\n\
        <value><array><data>\n<value><int>1</int></value>\n<value><string>2</string></value>\n\
        <value><base64>\nAwQ=\n</base64></value>\n</data></array></value>\n</param>\n</params>\n</methodCall>\n";
    assert_update(document, array([Value::Int(1), "2".into(), Value::Base64([3, 4].into())]));
}

#[test]
fn a_call_from_xmlrpc_c_is_read() {
    let document = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<methodCall>\r\n<methodName>surfstore.updatefile</methodName>\r\n\
        <params>\r\n<param><value><string>a &amp; b.txt</string></value></param>\r\n<param><value><i4>1</i4></value></param>\r\n\
        <param><value><array><data>\r\n<value><string>h1</string></value>\r\n<value><base64>\r\nAwQ=\r\n</base64></value>\r\n\
        </data></array></value></param>\r\n</params>\r\n</methodCall>\r\n";
    assert_update(document, array(["h1".into(), Value::Base64([3, 4].into())]));
}

#[test]
fn a_call_from_apache_xml_rpc_is_read() {
    let document = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><methodCall \
        xmlns:ex=\"http://ws.apache.org/xmlrpc/namespaces/extensions\"><methodName>surfstore.updatefile</methodName><params>\
        <param><value>a &amp; b.txt</value></param><param><value><i4>1</i4></value></param><param><value><array><data>\
        <value>h1</value><value><ex:i8>8589934592</ex:i8></value></data></array></value></param></params></methodCall>";
    assert_update(document, array(["h1".into(), Value::Int(8_589_934_592)]));
}
