// Generated from clients/web/playground by `npm run generate`: do not edit.
function pe(e,t){return e!==null&&typeof e=="object"&&"$typeName"in e&&typeof e.$typeName=="string"?t===void 0?!0:t.typeName===e.$typeName:!1}var l;(function(e){e[e.DOUBLE=1]="DOUBLE",e[e.FLOAT=2]="FLOAT",e[e.INT64=3]="INT64",e[e.UINT64=4]="UINT64",e[e.INT32=5]="INT32",e[e.FIXED64=6]="FIXED64",e[e.FIXED32=
7]="FIXED32",e[e.BOOL=8]="BOOL",e[e.STRING=9]="STRING",e[e.BYTES=12]="BYTES",e[e.UINT32=13]="UINT32",e[e.SFIXED32=15]="SFIXED32",e[e.SFIXED64=16]="SFIXED64",e[e.
SINT32=17]="SINT32",e[e.SINT64=18]="SINT64"})(l||(l={}));function jn(){let e=this.buf,t=this.pos,n=0,r=0;for(let s=0;s<28;s+=7){let a=e[t++];if(n|=(a&127)<<s,(a&128)==0){this.pos=t,this.assertBounds(),this.varint64Lo=
n,this.varint64Hi=r;return}}let o=e[t++];if(n|=(o&15)<<28,r=(o&112)>>4,(o&128)==0){this.pos=t,this.assertBounds(),this.varint64Lo=n,this.varint64Hi=r;return}for(let s=3;s<=
31;s+=7){let a=e[t++];if(r|=(a&127)<<s,(a&128)==0){this.pos=t,this.assertBounds(),this.varint64Lo=n,this.varint64Hi=r;return}}throw new Error("invalid varint")}var Ue=4294967296;function Lt(e){let t=e[0]==="-";t&&(e=e.slice(1));let n=1e6,r=0,o=0;function s(a,i){let c=Number(e.slice(a,i));o*=n,r=r*n+c,r>=Ue&&(o=o+(r/Ue|
0),r=r%Ue)}return s(-24,-18),s(-18,-12),s(-12,-6),s(-6),t?zn(r,o):Dt(r,o)}function Qn(e,t){let n=Dt(e,t),r=n.hi&2147483648;r&&(n=zn(n.lo,n.hi));let o=Ft(n.lo,n.
hi);return r?"-"+o:o}function Ft(e,t){if({lo:e,hi:t}=Qs(e,t),t<=2097151)return String(Ue*t+e);let n=e&16777215,r=(e>>>24|t<<8)&16777215,o=t>>16&65535,s=n+r*6777216+
o*6710656,a=r+o*8147497,i=o*2,c=1e7;return s>=c&&(a+=Math.floor(s/c),s%=c),a>=c&&(i+=Math.floor(a/c),a%=c),i.toString()+Hn(a)+Hn(s)}function Qs(e,t){return{lo:e>>>
0,hi:t>>>0}}function Dt(e,t){return{lo:e|0,hi:t|0}}function zn(e,t){return t=~t,e?e=~e+1:t+=1,Dt(e,t)}var Hn=e=>{let t=String(e);return"0000000".slice(t.length)+
t};function qn(e,t){if(e>>>0<128){t.push(e);return}if(e>=0){for(;e>127;)t.push(e&127|128),e=e>>>7;t.push(e)}else{for(let n=0;n<9;n++)t.push(e&127|128),e=e>>7;t.
push(1)}}function er(){let e=this.buf[this.pos++];if((e&128)===0)return this.assertBounds(),e;let t=e&127;if(e=this.buf[this.pos++],t|=(e&127)<<7,(e&128)===0)return this.
assertBounds(),t;if(e=this.buf[this.pos++],t|=(e&127)<<14,(e&128)===0)return this.assertBounds(),t;if(e=this.buf[this.pos++],t|=(e&127)<<21,(e&128)===0)return this.
assertBounds(),t;e=this.buf[this.pos++],t|=(e&15)<<28;for(let n=5;(e&128)!==0&&n<10;n++)e=this.buf[this.pos++];if((e&128)!==0)throw new Error("invalid varint");
return this.assertBounds(),t>>>0}var v=zs();function zs(){let e=new DataView(new ArrayBuffer(8));if(typeof BigInt=="function"&&typeof e.getBigInt64=="function"&&typeof e.getBigUint64=="function"&&
typeof e.setBigInt64=="function"&&typeof e.setBigUint64=="function"&&(!!globalThis.Deno||!!globalThis.Bun||typeof process!="object"||typeof process.env!="object"||
process.env.BUF_BIGINT_DISABLE!=="1")){let n=BigInt("-9223372036854775808"),r=BigInt("9223372036854775807"),o=BigInt("0"),s=BigInt("18446744073709551615");return{
zero:BigInt(0),supported:!0,parse(a){let i=typeof a=="bigint"?a:BigInt(a);if(i>r||i<n)throw new Error(`invalid int64: ${a}`);return i},uParse(a){let i=typeof a==
"bigint"?a:BigInt(a);if(i>s||i<o)throw new Error(`invalid uint64: ${a}`);return i},enc(a){return e.setBigInt64(0,this.parse(a),!0),{lo:e.getInt32(0,!0),hi:e.getInt32(
4,!0)}},uEnc(a){return e.setBigInt64(0,this.uParse(a),!0),{lo:e.getInt32(0,!0),hi:e.getInt32(4,!0)}},dec(a,i){return e.setInt32(0,a,!0),e.setInt32(4,i,!0),e.getBigInt64(
0,!0)},uDec(a,i){return e.setInt32(0,a,!0),e.setInt32(4,i,!0),e.getBigUint64(0,!0)}}}return{zero:"0",supported:!1,parse(n){return typeof n!="string"&&(n=n.toString()),
tr(n),n},uParse(n){return typeof n!="string"&&(n=n.toString()),nr(n),n},enc(n){return typeof n!="string"&&(n=n.toString()),tr(n),Lt(n)},uEnc(n){return typeof n!=
"string"&&(n=n.toString()),nr(n),Lt(n)},dec(n,r){return Qn(n,r)},uDec(n,r){return Ft(n,r)}}}function tr(e){if(!/^-?[0-9]+$/.test(e))throw new Error("invalid int\
64: "+e)}function nr(e){if(!/^[0-9]+$/.test(e))throw new Error("invalid uint64: "+e)}function F(e,t){switch(e){case l.STRING:return"";case l.BOOL:return!1;case l.DOUBLE:case l.FLOAT:return 0;case l.INT64:case l.UINT64:case l.SFIXED64:case l.FIXED64:case l.
SINT64:return t?"0":v.zero;case l.BYTES:return new Uint8Array(0);default:return 0}}function rr(e,t){switch(e){case l.BOOL:return t===!1;case l.STRING:return t===
"";case l.BYTES:return t instanceof Uint8Array&&!t.byteLength;case l.DOUBLE:case l.FLOAT:return Object.is(t,0);default:return t==0}}var or=2,V=Symbol.for("reflect unsafe local");function sr(e,t){let n=e[t.localName].case;return n===void 0?n:t.fields.find(r=>r.localName===n)}function ar(e,t){
let n=t.localName;if(t.oneof)return e[t.oneof.localName].case===n;if(t.presence!=or)return e[n]!==void 0&&Object.prototype.hasOwnProperty.call(e,n);switch(t.fieldKind){case"\
list":return e[n].length>0;case"map":return Object.keys(e[n]).length>0;case"scalar":return!rr(t.scalar,e[n]);case"enum":return e[n]!==t.enum.values[0].number}throw new Error(
"message field with implicit presence")}function Q(e,t){return Object.prototype.hasOwnProperty.call(e,t)&&e[t]!==void 0}function ir(e,t){if(t.oneof){let n=e[t.oneof.
localName];return n.case===t.localName?n.value:void 0}return e[t.localName]}function cr(e,t,n){t.oneof?e[t.oneof.localName]={case:t.localName,value:n}:e[t.localName]=
n}function L(e,t,n){t==="__proto__"?Object.defineProperty(e,"__proto__",{value:n,writable:!0,enumerable:!0,configurable:!0}):e[t]=n}function ur(e,t){return Object.
prototype.hasOwnProperty.call(e,t)?e[t]:void 0}function lr(e,t){let n=t.localName;if(t.oneof){let r=t.oneof.localName;e[r].case===n&&(e[r]={case:void 0})}else if(t.
presence!=or)delete e[n];else switch(t.fieldKind){case"map":e[n]={};break;case"list":e[n]=[];break;case"enum":e[n]=t.enum.values[0].number;break;case"scalar":e[n]=
F(t.scalar,t.longAsString);break}}function Y(e){return e!==null&&typeof e=="object"&&!Array.isArray(e)}function he(e,t){var n,r,o,s;if(Y(e)&&V in e&&"add"in e&&"field"in e&&typeof e.field=="function"){if(t!==void 0){let a=t,i=e.field();return a.listKind==i.listKind&&
a.scalar===i.scalar&&((n=a.message)===null||n===void 0?void 0:n.typeName)===((r=i.message)===null||r===void 0?void 0:r.typeName)&&((o=a.enum)===null||o===void 0?
void 0:o.typeName)===((s=i.enum)===null||s===void 0?void 0:s.typeName)}return!0}return!1}function ge(e,t){var n,r,o,s;if(Y(e)&&V in e&&"has"in e&&"field"in e&&typeof e.
field=="function"){if(t!==void 0){let a=t,i=e.field();return a.mapKey===i.mapKey&&a.mapKind==i.mapKind&&a.scalar===i.scalar&&((n=a.message)===null||n===void 0?void 0:
n.typeName)===((r=i.message)===null||r===void 0?void 0:r.typeName)&&((o=a.enum)===null||o===void 0?void 0:o.typeName)===((s=i.enum)===null||s===void 0?void 0:s.
typeName)}return!0}return!1}function be(e,t){return Y(e)&&V in e&&"desc"in e&&Y(e.desc)&&e.desc.kind==="message"&&(t===void 0||e.desc.typeName==t.typeName)}function mr(e){return dr(e.$typeName)}function G(e){let t=e.fields[0];return dr(e.typeName)&&t!==void 0&&t.fieldKind=="scalar"&&t.name=="value"&&t.number==1}function ke(e){
switch(e.typeName){case"google.protobuf.Any":case"google.protobuf.Timestamp":case"google.protobuf.Duration":case"google.protobuf.FieldMask":case"google.protobuf\
.Struct":case"google.protobuf.Value":case"google.protobuf.ListValue":return!0;default:return G(e)}}var qs=new Set(["google.protobuf.DoubleValue","google.protobu\
f.FloatValue","google.protobuf.Int64Value","google.protobuf.UInt64Value","google.protobuf.Int32Value","google.protobuf.UInt32Value","google.protobuf.BoolValue",
"google.protobuf.StringValue","google.protobuf.BytesValue"]);function dr(e){return qs.has(e)}var ea=999,ta=998,pr=2;function w(e,t){return pe(t,e)?t:hr(e)(t)}var fr=new WeakMap;function hr(e){let t=fr.get(e);return t===void 0&&(t=na(e),fr.set(e,t)),t}var Ut=0,
gr=1,br=2,yr=3;function na(e){let t=e.typeName,{properties:n,prototype:r}=ra(e);return o=>{let s;r!==void 0?(s=Object.create(r),s.$typeName=t):s={$typeName:t};for(let a=0;a<
n.length;a++){let i=n[a],c=i.name,u=o?.[c];switch(i.kind){case Ut:u!=null?s[c]=i.convert!==void 0?i.convert(u):u:i.constant!==void 0&&(s[c]=i.constant);break;case gr:
s[c]=i.convert!==void 0&&Array.isArray(u)?u.map(i.convert):u??[];break;case br:if(i.convert===void 0||!Y(u))s[c]=u??{};else{let m={},p=Object.keys(u);for(let h=0;h<
p.length;h++)L(m,p[h],i.convert(u[p[h]]));s[c]=m}break;case yr:{let m=u;if(m?.case!=null){let p=i.convert.get(m.case);if(p!==void 0){s[c]={case:m.case,value:p(m.
value)};break}}s[c]={case:void 0};break}}}return s}}function ra(e){var t,n;let r=[],o={},s=sa(e);for(let a of e.members){let i=a.localName;if(a.kind=="oneof"){r.
push({name:i,kind:yr,constant:void 0,convert:oa(a)});continue}switch(a.fieldKind){case"message":{r.push({name:i,kind:Ut,constant:void 0,convert:Ce(a)});break}case"\
list":{r.push({name:i,kind:gr,constant:void 0,convert:a.listKind=="message"?(t=Ce(a))!==null&&t!==void 0?t:(c=>c):a.scalar==l.BYTES?ye:void 0});break}case"map":{
r.push({name:i,kind:br,constant:void 0,convert:a.mapKind=="message"?(n=Ce(a))!==null&&n!==void 0?n:(c=>c):a.scalar==l.BYTES?ye:void 0});break}default:{let c=aa(
a);r.push({name:i,kind:Ut,constant:a.presence==pr?c:void 0,convert:a.fieldKind=="scalar"&&a.scalar==l.BYTES?ye:void 0}),s&&(o[i]=c);break}}}return{properties:r,
prototype:s?o:void 0}}function oa(e){let t=new Map;for(let n of e.fields){let r;n.fieldKind=="message"?r=Ce(n):n.fieldKind=="scalar"&&n.scalar==l.BYTES&&(r=ye),
t.set(n.localName,r??(o=>o))}return t}function Ce(e){if(e.fieldKind=="message"&&!e.oneof&&G(e.message))return e.message.fields[0].scalar==l.BYTES?ye:void 0;if(e.
message.typeName=="google.protobuf.Struct"&&e.parent.typeName!=="google.protobuf.Value")return;let t=e.message,n;return r=>!Y(r)||pe(r,t)?r:(n??(n=hr(t)),n(r))}
function ye(e){return Array.isArray(e)?new Uint8Array(e):e}function sa(e){switch(e.file.edition){case ea:return!1;case ta:return!0;default:return e.fields.some(
t=>t.presence!=pr&&t.fieldKind!="message"&&!t.oneof)}}function aa(e){let t=e.getDefaultValue();return t!==void 0?e.fieldKind=="scalar"&&e.longAsString?t.toString():
t:e.fieldKind=="scalar"?F(e.scalar,e.longAsString):e.enum.values[0].number}var ia=["FieldValueInvalidError","FieldListRangeError","ForeignFieldError"],x=class extends Error{constructor(t,n,r="FieldValueInvalidError"){super(n),this.name=
r,this.field=()=>t}};function Er(e){return e instanceof Error&&ia.includes(e.name)&&"field"in e&&typeof e.field=="function"}var kt;function ca(e){var t;kt=Object.assign(Object.assign({},e),{encodeUtf8Into:(t=e.encodeUtf8Into)!==null&&t!==void 0?t:Ct(e.encodeUtf8.bind(e))})}function Ee(){
if(!kt){let e=globalThis;if(!e.TextEncoder||!e.TextDecoder)throw new Error("encoding API missing: install TextEncoder and TextDecoder on globalThis");let t=new e.
TextEncoder,n=new e.TextDecoder("utf-8",{ignoreBOM:!0}),r,o={encodeUtf8(a){return t.encode(a)},decodeUtf8(a,i){return i?(r||(r=new e.TextDecoder("utf-8",{fatal:!0,
ignoreBOM:!0})),r.decode(a)):n.decode(a)},checkUtf8(a){try{return encodeURIComponent(a),!0}catch{return!1}}};t.encodeInto&&(o.encodeUtf8Into=t.encodeInto.bind(t));
let s=String.prototype.isWellFormed;s&&(o.checkUtf8=a=>s.call(a)),ca(o)}return kt}function Ct(e){return(t,n)=>{let r=e(t);return n.set(r),{written:r.byteLength}}}var A;(function(e){e[e.Varint=0]="Varint",e[e.Bit64=1]="Bit64",e[e.LengthDelimited=2]="LengthDelimited",e[e.StartGroup=3]="StartGroup",e[e.EndGroup=4]="EndGroup",
e[e.Bit32=5]="Bit32"})(A||(A={}));var Gt=4294967295,_t=2147483647,Bt=-2147483648,te=class{constructor(t){this.stackPos=[],this.encodeUtf8Into=t?Ct(t):Ee().encodeUtf8Into,this.buffer=Nr,this.viewCache=
la,this.pos=0}ensureCapacity(t){let n=this.pos+t;if(n>this.buffer.length){let r=this.buffer.length||ua;for(;r<n;)r*=2;let o=new Uint8Array(r);this.pos>0&&o.set(
this.buffer),this.buffer=o}}view(){let t=this.buffer,n=this.viewCache;if(n.byteLength===t.byteLength)return n;let r=new DataView(t.buffer);return this.viewCache=
r,r}finish(){let t=this.buffer.slice(0,this.pos);return this.pos=0,this.stackPos=[],t}fork(){return this.stackPos.push(this.pos),this.ensureCapacity(Se),this.buffer[this.
pos++]=0,this}join(){let t=this.stackPos.pop();if(t===void 0)throw new Error("invalid state, fork stack empty");let n=this.pos-t-Se,r=Mt(n);return r>Se&&(this.ensureCapacity(
r-Se),this.buffer.copyWithin(t+r,t+Se,this.pos)),this.pos=t,this.uint32(n),this.pos+=n,this}tag(t,n){return this.uint32((t<<3|n)>>>0)}raw(t){return this.ensureCapacity(
t.length),this.buffer.set(t,this.pos),this.pos+=t.length,this}uint32(t){if(Sr(t),this.ensureCapacity(5),t<128)return this.buffer[this.pos++]=t,this;for(;t>127;)
this.buffer[this.pos++]=t&127|128,t>>>=7;return this.buffer[this.pos++]=t,this}int32(t){if(Ot(t),t>=0)return this.uint32(t);this.ensureCapacity(10);for(let n=0;n<
9;n++)this.buffer[this.pos++]=t&127|128,t>>=7;return this.buffer[this.pos++]=1,this}bool(t){return this.ensureCapacity(1),this.buffer[this.pos++]=t?1:0,this}bytes(t){
return this.uint32(t.byteLength),this.raw(t)}string(t){typeof t!="string"&&(t=String(t));let n=t.length;if(n<=Ir){this.ensureCapacity(n+1);let c=this.buffer,u=this.
pos;c[u++]=n;let m=0;for(;m<n;m++){let p=t.charCodeAt(m);if(p>127)break;c[u++]=p}if(m==n)return this.pos=u,this}this.ensureCapacity(n*3+5);let r=Mt(n),o=this.buffer,
s=this.pos,{written:a}=this.encodeUtf8Into(t,o.subarray(s+r)),i=Mt(a);return i!=r&&o.copyWithin(s+i,s+r,s+r+a),this.uint32(a),this.pos+=a,this}float(t){return ma(
t),this.ensureCapacity(4),this.view().setFloat32(this.pos,t,!0),this.pos+=4,this}double(t){return this.ensureCapacity(8),this.view().setFloat64(this.pos,t,!0),this.
pos+=8,this}fixed32(t){return Sr(t),this.ensureCapacity(4),this.view().setUint32(this.pos,t,!0),this.pos+=4,this}sfixed32(t){return Ot(t),this.ensureCapacity(4),
this.view().setInt32(this.pos,t,!0),this.pos+=4,this}sint32(t){return Ot(t),this.uint32((t<<1^t>>31)>>>0)}sfixed64(t){let n=v.enc(t);this.ensureCapacity(8);let r=this.
view();return r.setInt32(this.pos,n.lo,!0),r.setInt32(this.pos+4,n.hi,!0),this.pos+=8,this}fixed64(t){let n=v.uEnc(t);this.ensureCapacity(8);let r=this.view();return r.
setInt32(this.pos,n.lo,!0),r.setInt32(this.pos+4,n.hi,!0),this.pos+=8,this}int64(t){let n=v.enc(t);return this.writeVarint64(n.lo,n.hi)}sint64(t){let n=v.enc(t),
r=n.hi>>31,o=n.lo<<1^r,s=(n.hi<<1|n.lo>>>31)^r;return this.writeVarint64(o,s)}uint64(t){let n=v.uEnc(t);return this.writeVarint64(n.lo,n.hi)}writeVarint64(t,n){
this.ensureCapacity(10);let r=this.buffer,o=this.pos;for(let i=0;i<28;i=i+7){let c=t>>>i,u=!(!(c>>>7)&&n==0);if(r[o++]=(u?c|128:c)&255,!u)return this.pos=o,this}
let s=t>>>28&15|(n&7)<<4,a=n>>3!=0;if(r[o++]=(a?s|128:s)&255,!a)return this.pos=o,this;for(let i=3;i<31;i=i+7){let c=n>>>i,u=!!(c>>>7);if(r[o++]=(u?c|128:c)&255,
!u)return this.pos=o,this}return r[o++]=n>>>31&1,this.pos=o,this}},ua=128,Se=1,Nr=new Uint8Array(0),la=new DataView(Nr.buffer),Ir=32;function Mt(e){return e<128?
1:e<16384?2:e<2097152?3:e<268435456?4:5}var _=class{constructor(t,n=Ee().decodeUtf8){this.decodeUtf8=n,this.varint64Lo=0,this.varint64Hi=0,this.varint64=jn,this.
uint32=er,this.buf=t,this.len=t.length,this.pos=0,this.view=new DataView(t.buffer,t.byteOffset,t.byteLength)}tag(){let t=this.pos,n=this.uint32(),r=this.pos-t;if(r>
5||r==5&&this.buf[this.pos-1]>15)throw new Error("illegal tag: varint overflows uint32");let o=n>>>3,s=n&7;if(o<=0||s>5)throw new Error("illegal tag: field no "+
o+" wire type "+s);return[o,s]}skip(t,n,r=100){let o=this.pos;switch(t){case A.Varint:for(;this.buf[this.pos++]&128;);break;case A.Bit64:this.pos+=4;case A.Bit32:
this.pos+=4;break;case A.LengthDelimited:let s=this.uint32();this.pos+=s;break;case A.StartGroup:if(r<=0)throw new Error("maximum recursion depth reached");for(;;){
let[a,i]=this.tag();if(i===A.EndGroup){if(n!==void 0&&a!==n)throw new Error("invalid end group tag");break}this.skip(i,a,r-1)}break;default:throw new Error("can\
t skip wire type "+t)}return this.assertBounds(),this.buf.subarray(o,this.pos)}assertBounds(){if(this.pos>this.len)throw new RangeError("premature EOF")}int32(){
return this.uint32()|0}sint32(){let t=this.uint32();return t>>>1^-(t&1)}int64(){return this.varint64(),v.dec(this.varint64Lo,this.varint64Hi)}uint64(){return this.
varint64(),v.uDec(this.varint64Lo,this.varint64Hi)}sint64(){this.varint64();let t=this.varint64Lo,n=this.varint64Hi,r=-(t&1);return t=(t>>>1|(n&1)<<31)^r,n=n>>>
1^r,v.dec(t,n)}bool(){let t=this.buf[this.pos];return t<128?(this.pos++,t!==0):(this.varint64(),this.varint64Lo!==0||this.varint64Hi!==0)}fixed32(){return this.
view.getUint32((this.pos+=4)-4,!0)}sfixed32(){return this.view.getInt32((this.pos+=4)-4,!0)}fixed64(){return v.uDec(this.sfixed32(),this.sfixed32())}sfixed64(){
return v.dec(this.sfixed32(),this.sfixed32())}float(){return this.view.getFloat32((this.pos+=4)-4,!0)}double(){return this.view.getFloat64((this.pos+=8)-8,!0)}bytes(){
let t=this.uint32(),n=this.pos;return this.pos+=t,this.assertBounds(),this.buf.subarray(n,n+t)}string(t){let n=this.uint32(),r=this.pos;this.pos+=n,this.assertBounds();
let o=this.buf;if(n<=Ir){let s=new Array(n);for(let a=0;a<n;a++){let i=o[r+a];if(i>127)return this.decodeUtf8(o.subarray(r,this.pos),t);s[a]=i}return String.fromCharCode.
apply(String,s)}return this.decodeUtf8(o.subarray(r,this.pos),t)}};function Ot(e){if(typeof e=="string")e=Number(e);else if(typeof e!="number")throw new Error("\
invalid int32: "+typeof e);if(!Number.isInteger(e)||e>_t||e<Bt)throw new Error("invalid int32: "+e)}function Sr(e){if(typeof e=="string")e=Number(e);else if(typeof e!=
"number")throw new Error("invalid uint32: "+typeof e);if(!Number.isInteger(e)||e>Gt||e<0)throw new Error("invalid uint32: "+e)}function ma(e){if(typeof e=="stri\
ng"){let t=e;if(e=Number(e),Number.isNaN(e)&&t!=="NaN")throw new Error("invalid float32: "+t)}else if(typeof e!="number")throw new Error("invalid float32: "+typeof e);
if(!Number.isFinite(Math.fround(e))&&Number.isFinite(e))throw new Error("invalid float32: "+e)}function Me(e,t){let n=e.fieldKind=="list"?he(t,e):e.fieldKind=="map"?ge(t,e):Zt(e,t);if(n===!0)return;let r;switch(e.fieldKind){case"list":r=`expected ${Ar(e)}\
, got ${R(t)}`;break;case"map":r=`expected ${wr(e)}, got ${R(t)}`;break;default:r=B(e,t,n)}return new x(e,r)}function Yt(e,t,n){let r=Zt(e,n);if(r!==!0)return new x(
e,`list item #${t+1}: ${B(e,n,r)}`)}function vr(e,t,n){let r=W(e.mapKey)(t);if(r!==!0)return new x(e,`invalid map key: ${B({scalar:e.mapKey},t,r)}`);let o=Zt(e,
n);if(o!==!0)return new x(e,`map entry ${R(t)}: ${B(e,n,o)}`)}function Zt(e,t){return e.scalar!==void 0?W(e.scalar)(t):e.enum!==void 0?e.enum.open?W(l.INT32)(t):
e.enum.values.some(n=>n.number===t):be(t,e.message)}function W(e){switch(e){case l.DOUBLE:return t=>typeof t=="number";case l.FLOAT:return t=>typeof t!="number"?
!1:!Number.isFinite(Math.fround(t))&&Number.isFinite(t)?`${t.toFixed()} out of range`:!0;case l.INT32:case l.SFIXED32:case l.SINT32:return t=>typeof t!="number"||
!Number.isInteger(t)?!1:t>_t||t<Bt?`${t.toFixed()} out of range`:!0;case l.FIXED32:case l.UINT32:return t=>typeof t!="number"||!Number.isInteger(t)?!1:t>Gt||t<0?
`${t.toFixed()} out of range`:!0;case l.BOOL:return t=>typeof t=="boolean";case l.STRING:return t=>typeof t!="string"?!1:Ee().checkUtf8(t)||"invalid UTF8";case l.
BYTES:return t=>t instanceof Uint8Array;case l.INT64:case l.SFIXED64:case l.SINT64:return t=>{if(typeof t=="bigint"||typeof t=="number"||typeof t=="string"&&t.length>
0)try{return v.parse(t),!0}catch{return`${t} out of range`}return!1};case l.FIXED64:case l.UINT64:return t=>{if(typeof t=="bigint"||typeof t=="number"||typeof t==
"string"&&t.length>0)try{return v.uParse(t),!0}catch{return`${t} out of range`}return!1}}}function B(e,t,n){return n=typeof n=="string"?`: ${n}`:`, got ${R(t)}`,
e.scalar!==void 0?`expected ${da(e.scalar)}`+n:e.enum!==void 0?`expected ${e.enum.toString()}`+n:`expected ${xr(e.message)}`+n}function R(e){switch(typeof e){case"\
object":return e===null?"null":e instanceof Uint8Array?`Uint8Array(${e.length})`:Array.isArray(e)?`Array(${e.length})`:he(e)?Ar(e.field()):ge(e)?wr(e.field()):be(
e)?xr(e.desc):pe(e)?`message ${e.$typeName}`:"object";case"string":return e.length>30?"string":`"${e.split('"').join('\\"')}"`;case"boolean":return String(e);case"\
number":return String(e);case"bigint":return String(e)+"n";default:return typeof e}}function xr(e){return`ReflectMessage (${e.typeName})`}function Ar(e){switch(e.
listKind){case"message":return`ReflectList (${e.message.toString()})`;case"enum":return`ReflectList (${e.enum.toString()})`;case"scalar":return`ReflectList (${l[e.
scalar]})`}}function wr(e){switch(e.mapKind){case"message":return`ReflectMap (${l[e.mapKey]}, ${e.message.toString()})`;case"enum":return`ReflectMap (${l[e.mapKey]}\
, ${e.enum.toString()})`;case"scalar":return`ReflectMap (${l[e.mapKey]}, ${l[e.scalar]})`}}function da(e){switch(e){case l.STRING:return"string";case l.BOOL:return"\
boolean";case l.INT64:case l.SINT64:case l.SFIXED64:return"bigint (int64)";case l.UINT64:case l.FIXED64:return"bigint (uint64)";case l.BYTES:return"Uint8Array";case l.
DOUBLE:return"number (float64)";case l.FLOAT:return"number (float32)";case l.FIXED32:case l.UINT32:return"number (uint32)";case l.INT32:case l.SFIXED32:case l.SINT32:
return"number (int32)"}}var fa=0;function C(e){if(pa(e))return{toMessage:n=>Oe(n),toLocal:n=>Ge(n)};if(e.fieldKind=="message"&&!e.oneof&&G(e.message)){let n=e.message,r=n.fields[0].localName;
return{toMessage:o=>{let s=w(n);return o!==void 0&&(s[r]=o),s},toLocal:o=>o[r]}}let t=e.message;return{toMessage:n=>n===void 0?w(t):n,toLocal:n=>n}}function pa(e){
return e.message.typeName=="google.protobuf.Struct"&&e.parent.typeName!="google.protobuf.Value"}function Oe(e){let t={$typeName:"google.protobuf.Struct",fields:{}};
if(Y(e))for(let n of Object.keys(e))L(t.fields,n,Rr(e[n]));return t}function Ge(e){let t={};for(let n of Object.keys(e.fields))L(t,n,Tr(e.fields[n]));return t}function Tr(e){
switch(e.kind.case){case"structValue":return Ge(e.kind.value);case"listValue":return e.kind.value.values.map(Tr);case"nullValue":case void 0:return null;default:
return e.kind.value}}function Rr(e){let t={$typeName:"google.protobuf.Value",kind:{case:void 0}};switch(typeof e){case"number":t.kind={case:"numberValue",value:e};
break;case"string":t.kind={case:"stringValue",value:e};break;case"boolean":t.kind={case:"boolValue",value:e};break;case"object":if(e===null)t.kind={case:"nullVa\
lue",value:fa};else if(Array.isArray(e)){let n={$typeName:"google.protobuf.ListValue",values:[]};if(Array.isArray(e))for(let r of e)n.values.push(Rr(r));t.kind=
{case:"listValue",value:n}}else t.kind={case:"structValue",value:Oe(e)};break}return t}function Dr(e,t,n=!0){return new Be(e,t,n)}var Vr=new WeakMap,Be=class{get sortedFields(){let t=Vr.get(this.desc);if(t)return t;let n=this.desc.fields.concat().
sort((r,o)=>r.number-o.number);return Vr.set(this.desc,n),n}constructor(t,n,r=!0){this.lists=new Map,this.maps=new Map,this.check=r,this.desc=t,this.message=this[V]=
n??w(t),this.fields=t.fields,this.oneofs=t.oneofs,this.members=t.members}findNumber(t){return this._fieldsByNumber||(this._fieldsByNumber=new Map(this.desc.fields.
map(n=>[n.number,n]))),this._fieldsByNumber.get(t)}oneofCase(t){return Ne(this.message,t),sr(this.message,t)}isSet(t){return Ne(this.message,t),ar(this.message,
t)}clear(t){Ne(this.message,t),lr(this.message,t)}get(t){Ne(this.message,t);let n=ir(this.message,t);switch(t.fieldKind){case"list":let r=this.lists.get(t);return(!r||
r[V]!==n)&&this.lists.set(t,r=new Wt(t,n,this.check)),r;case"map":let o=this.maps.get(t);return(!o||o[V]!==n)&&this.maps.set(t,o=new Kt(t,n,this.check)),o;case"\
message":return Jt(t,n,this.check);case"scalar":return n===void 0?F(t.scalar,!1):Ht(t,n);case"enum":return n??t.enum.values[0].number}}set(t,n){if(Ne(this.message,
t),this.check){let o=Me(t,n);if(o)throw o}let r;t.fieldKind=="message"?r=$t(t,n):ge(n)||he(n)?r=n[V]:r=jt(t,n),cr(this.message,t,r)}getUnknown(){return this.message.
$unknown}setUnknown(t){this.message.$unknown=t}};function Ne(e,t){if(t.parent.typeName!==e.$typeName)throw new x(t,`cannot use ${t.toString()} with message ${e.
$typeName}`,"ForeignFieldError")}var Wt=class{field(){return this._field}get size(){return this._arr.length}constructor(t,n,r){this._field=t,this._arr=this[V]=n,this.check=r}get(t){let n=this._arr[t];
return n===void 0?void 0:Pt(this._field,n,this.check)}set(t,n){if(t<0||t>=this._arr.length)throw new x(this._field,`list item #${t+1}: out of range`);if(this.check){
let r=Yt(this._field,t,n);if(r)throw r}this._arr[t]=Lr(this._field,n)}add(t){if(this.check){let n=Yt(this._field,this._arr.length,t);if(n)throw n}this._arr.push(
Lr(this._field,t))}clear(){this._arr.splice(0,this._arr.length)}[Symbol.iterator](){return this.values()}keys(){return this._arr.keys()}*values(){for(let t of this.
_arr)yield Pt(this._field,t,this.check)}*entries(){for(let t=0;t<this._arr.length;t++)yield[t,Pt(this._field,this._arr[t],this.check)]}};var Kt=class{constructor(t,n,r=!0){this.obj=this[V]=n??{},this.check=r,this._field=t}field(){return this._field}set(t,n){if(this.check){let r=vr(this._field,t,n);
if(r)throw r}return L(this.obj,_e(t),ha(this._field,n)),this}delete(t){let n=_e(t),r=Object.prototype.hasOwnProperty.call(this.obj,n);return r&&delete this.obj[n],
r}clear(){for(let t of Object.keys(this.obj))delete this.obj[t]}get(t){let n=ur(this.obj,_e(t));return n!==void 0&&(n=Xt(this._field,n,this.check)),n}has(t){return Object.
prototype.hasOwnProperty.call(this.obj,_e(t))}*keys(){for(let t of Object.keys(this.obj))yield Fr(t,this._field.mapKey)}*entries(){for(let t of Object.entries(this.
obj))yield[Fr(t[0],this._field.mapKey),Xt(this._field,t[1],this.check)]}[Symbol.iterator](){return this.entries()}get size(){return Object.keys(this.obj).length}*values(){
for(let t of Object.values(this.obj))yield Xt(this._field,t,this.check)}forEach(t,n){for(let r of this.entries())t.call(n,r[1],r[0],this)}};function $t(e,t){return be(
t)?mr(t.message)&&!e.oneof&&e.fieldKind=="message"?t.message.value:t.desc.typeName=="google.protobuf.Struct"&&e.parent.typeName!="google.protobuf.Value"?Ge(t.message):
t.message:t}function Jt(e,t,n){return t!==void 0&&(G(e.message)&&!e.oneof&&e.fieldKind=="message"?t={$typeName:e.message.typeName,value:Ht(e.message.fields[0],t)}:
e.message.typeName=="google.protobuf.Struct"&&e.parent.typeName!="google.protobuf.Value"&&Y(t)&&(t=Oe(t))),new Be(e.message,t,n)}function Lr(e,t){return e.listKind==
"message"?$t(e,t):jt(e,t)}function Pt(e,t,n){return e.listKind=="message"?Jt(e,t,n):Ht(e,t)}function ha(e,t){return e.mapKind=="message"?$t(e,t):jt(e,t)}function Xt(e,t,n){
return e.mapKind=="message"?Jt(e,t,n):t}function _e(e){return typeof e=="string"||typeof e=="number"?e:String(e)}function Fr(e,t){switch(t){case l.STRING:return e;case l.
INT32:case l.FIXED32:case l.UINT32:case l.SFIXED32:case l.SINT32:{let n=Number.parseInt(e);if(Number.isFinite(n))return n;break}case l.BOOL:switch(e){case"true":
return!0;case"false":return!1}break;case l.UINT64:case l.FIXED64:try{return v.uParse(e)}catch{}break;default:try{return v.parse(e)}catch{}break}return e}function Ht(e,t){
switch(e.scalar){case l.INT64:case l.SFIXED64:case l.SINT64:"longAsString"in e&&e.longAsString&&typeof t=="string"&&(t=v.parse(t));break;case l.FIXED64:case l.UINT64:
"longAsString"in e&&e.longAsString&&typeof t=="string"&&(t=v.uParse(t));break}return t}function jt(e,t){switch(e.scalar){case l.INT64:case l.SFIXED64:case l.SINT64:
"longAsString"in e&&e.longAsString?t=String(t):(typeof t=="string"||typeof t=="number")&&(t=v.parse(t));break;case l.FIXED64:case l.UINT64:"longAsString"in e&&e.
longAsString?t=String(t):(typeof t=="string"||typeof t=="number")&&(t=v.uParse(t));break}return t}var Ur=Uint8Array.prototype.setFromBase64;function re(e){let t=e.length,n=t-(t+3>>2);(t&3)==0&&e[t-1]=="="&&(n-=e[t-2]=="="?2:1);let r=new Uint8Array(n),o=-1;if(Ur)
try{let s=Ur.call(r,e);s.read==t&&(o=s.written)}catch{}return o<0&&(o=ga(r,e)),o==n?r:r.subarray(0,o)}function ga(e,t){let n=ya(),r=0,o=0,s,a=0;for(let i=0;i<t.
length;i++){if(s=n[t.charCodeAt(i)],s===void 0)switch(t[i]){case"=":o=0;case`
`:case"\r":case"	":case" ":continue;default:throw Error("invalid base64 string")}switch(o){case 0:a=s,o=1;break;case 1:e[r++]=a<<2|(s&48)>>4,a=s,o=2;break;case 2:
e[r++]=(a&15)<<4|(s&60)>>2,a=s,o=3;break;case 3:e[r++]=(a&3)<<6|s,o=0;break}}if(o==1)throw Error("invalid base64 string");return r}var kr=Uint8Array.prototype.toBase64,
ba={std:{alphabet:"base64",omitPadding:!1},std_raw:{alphabet:"base64",omitPadding:!0},url:{alphabet:"base64url",omitPadding:!0}};function Qt(e,t="std"){if(kr)return kr.
call(e,ba[t]);let n=Mr(t),r=t=="std",o="",s=0,a,i=0;for(let c=0;c<e.length;c++)switch(a=e[c],s){case 0:o+=n[a>>2],i=(a&3)<<4,s=1;break;case 1:o+=n[i|a>>4],i=(a&
15)<<2,s=2;break;case 2:o+=n[i|a>>6],o+=n[a&63],s=0;break}return s&&(o+=n[i],r&&(o+="=",s==1&&(o+="="))),o}var Ye,Cr,ne;function Mr(e){return Ye||(Ye="ABCDEFGHI\
JKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".split(""),Cr=Ye.slice(0,-2).concat("-","_")),e=="url"?Cr:Ye}function ya(){if(!ne){ne=[];let e=Mr("std");
for(let t=0;t<e.length;t++)ne[e[t].charCodeAt(0)]=t;ne[45]=e.indexOf("+"),ne[95]=e.indexOf("/")}return ne}function K(e){let t=!1,n=[];for(let r=0;r<e.length;r++){let o=e.charAt(r);switch(o){case"_":t=!0;break;case"0":case"1":case"2":case"3":case"4":case"5":case"6":case"\
7":case"8":case"9":n.push(o),t=!1;break;default:t&&(t=!1,o=o.toUpperCase()),n.push(o);break}}return n.join("")}function Ze(e){return e.replace(/[A-Z]/g,t=>"_"+t.
toLowerCase())}var Ea=new Set(["constructor","toString","toJSON","valueOf"]);function oe(e){return Ea.has(e)?e+"$":e}function Ie(e){for(let t of e.field)Q(t,"jsonName")||(t.jsonName=K(t.name));e.nestedType.forEach(Ie)}function Or(e,t){let n=e.values.find(r=>r.name===t);if(!n)throw new Error(`cannot parse ${e} default value: ${t}`);return n.number}function Gr(e,t){switch(e){case l.
STRING:return t;case l.BYTES:{let n=Sa(t);if(n===!1)throw new Error(`cannot parse ${l[e]} default value: ${t}`);return n}case l.INT64:case l.SFIXED64:case l.SINT64:
return v.parse(t);case l.UINT64:case l.FIXED64:return v.uParse(t);case l.DOUBLE:case l.FLOAT:switch(t){case"inf":return Number.POSITIVE_INFINITY;case"-inf":return Number.
NEGATIVE_INFINITY;case"nan":return Number.NaN;default:return parseFloat(t)}case l.BOOL:return t==="true";case l.INT32:case l.UINT32:case l.SINT32:case l.FIXED32:case l.
SFIXED32:return parseInt(t,10)}}function Sa(e){let t=[],n={tail:e,c:"",next(){return this.tail.length==0?!1:(this.c=this.tail[0],this.tail=this.tail.substring(1),
!0)},take(r){if(this.tail.length>=r){let o=this.tail.substring(0,r);return this.tail=this.tail.substring(r),o}return!1}};for(;n.next();)switch(n.c){case"\\":if(n.
next())switch(n.c){case"\\":t.push(n.c.charCodeAt(0));break;case"b":t.push(8);break;case"f":t.push(12);break;case"n":t.push(10);break;case"r":t.push(13);break;case"\
t":t.push(9);break;case"v":t.push(11);break;case"0":case"1":case"2":case"3":case"4":case"5":case"6":case"7":{let r=n.c,o=n.take(2);if(o===!1)return!1;let s=parseInt(
r+o,8);if(Number.isNaN(s))return!1;t.push(s);break}case"x":{let r=n.c,o=n.take(2);if(o===!1)return!1;let s=parseInt(r+o,16);if(Number.isNaN(s))return!1;t.push(s);
break}case"u":{let r=n.c,o=n.take(4);if(o===!1)return!1;let s=parseInt(r+o,16);if(Number.isNaN(s))return!1;let a=new Uint8Array(4);new DataView(a.buffer).setInt32(
0,s,!0),t.push(a[0],a[1],a[2],a[3]);break}case"U":{let r=n.c,o=n.take(8);if(o===!1)return!1;let s=v.uEnc(r+o),a=new Uint8Array(8),i=new DataView(a.buffer);i.setInt32(
0,s.lo,!0),i.setInt32(4,s.hi,!0),t.push(a[0],a[1],a[2],a[3],a[4],a[5],a[6],a[7]);break}}break;default:t.push(n.c.charCodeAt(0))}return new Uint8Array(t)}function*Pe(e){switch(e.kind){case"file":for(let t of e.messages)yield t,yield*Pe(t);yield*e.enums,yield*e.services,yield*e.extensions;break;case"message":for(let t of e.
nestedMessages)yield t,yield*Pe(t);yield*e.nestedEnums,yield*e.nestedExtensions;break}}function Xe(e,t){return Na([e,t])}function Na(e,t){let n=Ia();if(!e.length)return n;if("$typeName"in e[0]&&e[0].$typeName=="google.protobuf.FileDescriptorSet"){
for(let r of e[0].file)t?.(r),Zr(r,n);return n}if("$typeName"in e[0]){let a=function(i){let c=[];for(let u of i.dependency){if(n.getFile(u)!=null||s.has(u))continue;
let m=o(u);if(!m)throw new Error(`Unable to resolve ${u}, imported by ${i.name}`);"kind"in m?n.addFile(m,!1,!0):(s.add(m.name),c.push(m))}return c.concat(...c.map(
a))},r=e[0],o=e[1],s=new Set;for(let i of[r,...a(r)].reverse())t?.(i),Zr(i,n)}else for(let r of e)for(let o of r.files)n.addFile(o);return n}function Ia(){let e=new Map,t=new Map,n=new Map;return{kind:"registry",types:e,extendees:t,[Symbol.iterator](){return e.values()},get files(){return n.values()},
addFile(r,o,s){if(n.set(r.proto.name,r),!o)for(let a of Pe(r))this.add(a);if(s)for(let a of r.dependencies)this.addFile(a,o,s)},add(r){if(r.kind=="extension"){let o=t.
get(r.extendee.typeName);o||t.set(r.extendee.typeName,o=new Map),o.set(r.number,r)}e.set(r.typeName,r)},get(r){return e.get(r)},getFile(r){return n.get(r)},getMessage(r){
let o=e.get(r);return o?.kind=="message"?o:void 0},getEnum(r){let o=e.get(r);return o?.kind=="enum"?o:void 0},getExtension(r){let o=e.get(r);return o?.kind=="ex\
tension"?o:void 0},getExtensionFor(r,o){var s;return(s=t.get(r.typeName))===null||s===void 0?void 0:s.get(o)},getService(r){let o=e.get(r);return o?.kind=="serv\
ice"?o:void 0}}}var va=998,xa=999,Aa=9999,wa=9,xe=10,ve=11,Ta=12,_r=14,nn=3,Ra=2,Br=1,Va=0,zt=1,Yr=2,La=3,Fa=1,Da=2,Ua=1,ka=2;var Ca=1002,Xr={998:{fieldPresence:1,enumType:2,repeatedFieldEncoding:2,utf8Validation:3,messageEncoding:1,jsonFormat:2,enforceNamingStyle:2,defaultSymbolVisibility:1,
enforceProtoLimits:1},999:{fieldPresence:2,enumType:1,repeatedFieldEncoding:1,utf8Validation:2,messageEncoding:1,jsonFormat:1,enforceNamingStyle:2,defaultSymbolVisibility:1,
enforceProtoLimits:1},1e3:{fieldPresence:1,enumType:1,repeatedFieldEncoding:1,utf8Validation:2,messageEncoding:1,jsonFormat:1,enforceNamingStyle:2,defaultSymbolVisibility:1,
enforceProtoLimits:1},1001:{fieldPresence:1,enumType:1,repeatedFieldEncoding:1,utf8Validation:2,messageEncoding:1,jsonFormat:1,enforceNamingStyle:1,defaultSymbolVisibility:2,
enforceProtoLimits:1},1002:{fieldPresence:1,enumType:1,repeatedFieldEncoding:1,utf8Validation:2,messageEncoding:1,jsonFormat:1,enforceNamingStyle:3,defaultSymbolVisibility:4,
enforceProtoLimits:2}};function Zr(e,t){var n,r;let o={kind:"file",proto:e,deprecated:(r=(n=e.options)===null||n===void 0?void 0:n.deprecated)!==null&&r!==void 0?
r:!1,edition:_a(e),name:e.name.replace(/\.proto$/,""),dependencies:Ba(e,t),enums:[],messages:[],extensions:[],services:[],toString(){return`file ${e.name}`}},s=new Map,
a={get(i){return s.get(i)},add(i){var c;Z(((c=i.proto.options)===null||c===void 0?void 0:c.mapEntry)===!0),s.set(i.typeName,i)}};for(let i of e.enumType)Wr(i,o,
void 0,t);for(let i of e.messageType)Kr(i,o,void 0,t,a);for(let i of e.service)Ma(i,o,t);qt(o,t);for(let i of s.values())en(i,t,a);for(let i of o.messages)en(i,
t,a),qt(i,t);t.addFile(o,!0)}function qt(e,t){switch(e.kind){case"file":for(let n of e.proto.extension){let r=tn(n,e,t);e.extensions.push(r),t.add(r)}break;case"\
message":for(let n of e.proto.extension){let r=tn(n,e,t);e.nestedExtensions.push(r),t.add(r)}for(let n of e.nestedMessages)qt(n,t);break}}function en(e,t,n){let r=e.
proto.oneofDecl.map(s=>Ga(s,e)),o=new Set;for(let s of e.proto.field){let a=Xa(s,r),i=tn(s,e,t,a,n);e.fields.push(i),e.field[i.localName]=i,a===void 0?e.members.
push(i):(a.fields.push(i),o.has(a)||(o.add(a),e.members.push(a)))}for(let s of r.filter(a=>o.has(a)))e.oneofs.push(s);for(let s of e.nestedMessages)en(s,t,n)}function Wr(e,t,n,r){
var o,s,a,i,c,u,m,p,h;let d=Ya(e.name,e.value),f={kind:"enum",proto:e,deprecated:(s=(o=e.options)===null||o===void 0?void 0:o.deprecated)!==null&&s!==void 0?s:!1,
file:t,parent:n,open:!0,name:e.name,typeName:We(e,n,t),value:{},values:[],sharedPrefix:d,toString(){return`enum ${this.typeName}`}};f.open=Ja(f),r.add(f);for(let b of e.
value){let E=b.name,N={kind:"enum_value",proto:b,deprecated:(i=(a=b.options)===null||a===void 0?void 0:a.deprecated)!==null&&i!==void 0?i:!1,parent:f,name:E,localName:oe(
d==null?E:E.substring(d.length)),number:b.number,jsonName:(c=Za(b))!==null&&c!==void 0?c:E,toString(){return`enum value ${f.typeName}.${E}`}};f.values.push(N),(u=
(p=f.value)[h=b.number])!==null&&u!==void 0||(p[h]=N)}((m=n?.nestedEnums)!==null&&m!==void 0?m:t.enums).push(f)}function Kr(e,t,n,r,o){var s,a,i,c;let u={kind:"\
message",proto:e,deprecated:(a=(s=e.options)===null||s===void 0?void 0:s.deprecated)!==null&&a!==void 0?a:!1,file:t,parent:n,name:e.name,typeName:We(e,n,t),fields:[],
field:{},oneofs:[],members:[],nestedEnums:[],nestedMessages:[],nestedExtensions:[],toString(){return`message ${this.typeName}`}};((i=e.options)===null||i===void 0?
void 0:i.mapEntry)===!0?o.add(u):(((c=n?.nestedMessages)!==null&&c!==void 0?c:t.messages).push(u),r.add(u));for(let m of e.enumType)Wr(m,t,u,r);for(let m of e.nestedType)
Kr(m,t,u,r,o)}function Ma(e,t,n){var r,o;let s={kind:"service",proto:e,deprecated:(o=(r=e.options)===null||r===void 0?void 0:r.deprecated)!==null&&o!==void 0?o:
!1,file:t,name:e.name,typeName:We(e,void 0,t),methods:[],method:{},toString(){return`service ${this.typeName}`}};t.services.push(s),n.add(s);for(let a of e.method){
let i=Oa(a,s,n);s.methods.push(i),s.method[i.localName]=i}}function Oa(e,t,n){var r,o,s,a;let i;e.clientStreaming&&e.serverStreaming?i="bidi_streaming":e.clientStreaming?
i="client_streaming":e.serverStreaming?i="server_streaming":i="unary";let c=n.getMessage($(e.inputType)),u=n.getMessage($(e.outputType));Z(c,`invalid MethodDesc\
riptorProto: input_type ${e.inputType} not found`),Z(u,`invalid MethodDescriptorProto: output_type ${e.inputType} not found`);let m=e.name;return{kind:"rpc",proto:e,
deprecated:(o=(r=e.options)===null||r===void 0?void 0:r.deprecated)!==null&&o!==void 0?o:!1,parent:t,name:m,localName:oe(m.length?oe(m[0].toLowerCase()+m.substring(
1)):m),methodKind:i,input:c,output:u,idempotency:(a=(s=e.options)===null||s===void 0?void 0:s.idempotencyLevel)!==null&&a!==void 0?a:Va,toString(){return`rpc ${t.
typeName}.${m}`}}}function Ga(e,t){return{kind:"oneof",proto:e,deprecated:!1,parent:t,fields:[],name:e.name,localName:oe(K(e.name)),toString(){return`oneof ${t.
typeName}.${this.name}`}}}function tn(e,t,n,r,o){var s,a,i;let c=o===void 0,u={kind:"field",proto:e,deprecated:(a=(s=e.options)===null||s===void 0?void 0:s.deprecated)!==
null&&a!==void 0?a:!1,name:e.name,number:e.number,scalar:void 0,message:void 0,enum:void 0,presence:Wa(e,r,c,t),utf8Validation:Ha(e,t),listKind:void 0,mapKind:void 0,
mapKey:void 0,delimitedEncoding:void 0,packed:void 0,longAsString:!1,getDefaultValue:void 0},m;if(c){let f=t.kind=="file"?t:t.file,b=t.kind=="file"?void 0:t,E=We(
e,b,f);u.kind="extension",u.file=f,u.parent=b,u.oneof=void 0,u.typeName=E,u.jsonName=`[${E}]`,m=()=>`extension ${E}`;let N=n.getMessage($(e.extendee));Z(N,`inva\
lid FieldDescriptorProto: extendee ${e.extendee} not found`),u.extendee=N}else{let f=t;Z(f.kind=="message"),u.parent=f,u.oneof=r,u.localName=r?K(e.name):oe(K(e.
name)),u.jsonName=e.jsonName,m=()=>`field ${f.typeName}.${e.name}`}Object.defineProperty(u,"toString",{value:m,writable:!0,enumerable:!0,configurable:!0});let p=e.
label,h=e.type,d=(i=e.options)===null||i===void 0?void 0:i.jstype;if(p===nn){let f=h==ve?o?.get($(e.typeName)):void 0;if(f){u.fieldKind="map";let{key:b,value:E}=$a(
f);return u.mapKey=b.scalar,u.mapKind=E.fieldKind,u.message=E.message,u.delimitedEncoding=!1,u.enum=E.enum,u.scalar=E.scalar,u}switch(u.fieldKind="list",h){case ve:case xe:
u.listKind="message",u.message=n.getMessage($(e.typeName)),Z(u.message),u.delimitedEncoding=Pr(e,t);break;case _r:u.listKind="enum",u.enum=n.getEnum($(e.typeName)),
Z(u.enum);break;default:u.listKind="scalar",u.scalar=h,u.longAsString=d==Br;break}return u.packed=Ka(e,t),u}switch(h){case ve:case xe:u.fieldKind="message",u.message=
n.getMessage($(e.typeName)),Z(u.message,`invalid FieldDescriptorProto: type_name ${e.typeName} not found`),u.delimitedEncoding=Pr(e,t),u.getDefaultValue=()=>{};
break;case _r:{let f=n.getEnum($(e.typeName));Z(f!==void 0,`invalid FieldDescriptorProto: type_name ${e.typeName} not found`),u.fieldKind="enum",u.enum=n.getEnum(
$(e.typeName)),u.getDefaultValue=()=>Q(e,"defaultValue")?Or(f,e.defaultValue):void 0;break}default:{u.fieldKind="scalar",u.scalar=h,u.longAsString=d==Br,u.getDefaultValue=
()=>Q(e,"defaultValue")?Gr(h,e.defaultValue):void 0;break}}return u}function _a(e){switch(e.syntax){case"":case"proto2":return va;case"proto3":return xa;case"ed\
itions":if(e.edition===Aa)return Ca;if(e.edition in Xr)return e.edition;throw new Error(`${e.name}: unsupported edition`);default:throw new Error(`${e.name}: un\
supported syntax "${e.syntax}"`)}}function Ba(e,t){return e.dependency.map(n=>{let r=t.getFile(n);if(!r)throw new Error(`Cannot find ${n}, imported by ${e.name}`);
return r})}function Ya(e,t){let n=Pa(e)+"_";for(let r of t){if(!r.name.toLowerCase().startsWith(n))return;let o=r.name.substring(n.length);if(o.length==0||/^\d/.
test(o))return}return n}function Za(e){var t,n;let s;for(let a of(n=(t=e.options)===null||t===void 0?void 0:t.$unknown)!==null&&n!==void 0?n:[]){if(a.no!==998||
a.wireType!==A.LengthDelimited)continue;let i=new _(new _(a.data).bytes());for(;i.pos<i.len;){let[c,u]=i.tag();c===1&&u===A.LengthDelimited?s=i.string():i.skip(
u,c)}}return s}function Pa(e){return(e.substring(0,1)+e.substring(1).replace(/[A-Z]/g,t=>"_"+t)).toLowerCase()}function We(e,t,n){let r;return t?r=`${t.typeName}\
.${e.name}`:n.proto.package.length>0?r=`${n.proto.package}.${e.name}`:r=`${e.name}`,r}function $(e){return e.startsWith(".")?e.substring(1):e}function Xa(e,t){if(!Q(
e,"oneofIndex")||e.proto3Optional)return;let n=t[e.oneofIndex];return Z(n,`invalid FieldDescriptorProto: oneof #${e.oneofIndex} for field #${e.number} not found`),
n}function Wa(e,t,n,r){if(e.label==Ra)return La;if(e.label==nn)return Yr;if(t||e.proto3Optional||n)return zt;let o=z("fieldPresence",{proto:e,parent:r});return o==
Yr&&(e.type==ve||e.type==xe)?zt:o}function Ka(e,t){if(e.label!=nn)return!1;switch(e.type){case wa:case Ta:case xe:case ve:return!1}let n=e.options;return n&&Q(n,
"packed")?n.packed:Fa==z("repeatedFieldEncoding",{proto:e,parent:t})}function $a(e){let t=e.fields.find(r=>r.number===1),n=e.fields.find(r=>r.number===2);return Z(
t&&t.fieldKind=="scalar"&&t.scalar!=l.BYTES&&t.scalar!=l.FLOAT&&t.scalar!=l.DOUBLE&&n&&n.fieldKind!="list"&&n.fieldKind!="map"),{key:t,value:n}}function Ja(e){var t;
return Ua==z("enumType",{proto:e.proto,parent:(t=e.parent)!==null&&t!==void 0?t:e.file})}function Pr(e,t){return e.type==xe?!0:Da==z("messageEncoding",{proto:e,
parent:t})}function Ha(e,t){return ka==z("utf8Validation",{proto:e,parent:t})}function z(e,t){var n,r;let o=(n=t.proto.options)===null||n===void 0?void 0:n.features;
if(o){let s=o[e];if(s!=0)return s}if("kind"in t){if(t.kind=="message")return z(e,(r=t.parent)!==null&&r!==void 0?r:t.file);let s=Xr[t.edition];if(!s)throw new Error(
`feature default for edition ${t.edition} not found`);return s[e]}return z(e,t.parent)}function Z(e,t){if(!e)throw new Error(t)}function $r(e){let t=ja(e);return t.messageType.forEach(Ie),Xe(t,()=>{}).getFile(t.name)}function ja(e){return Object.assign(Object.create({syntax:"",edition:0}),
Object.assign(Object.assign({$typeName:"google.protobuf.FileDescriptorProto",dependency:[],publicDependency:[],weakDependency:[],optionDependency:[],service:[],
extension:[]},e),{messageType:e.messageType.map(Jr),enumType:e.enumType.map(Hr)}))}function Jr(e){var t,n,r,o,s,a,i,c;return Object.assign(Object.create({visibility:0}),
{$typeName:"google.protobuf.DescriptorProto",name:e.name,field:(n=(t=e.field)===null||t===void 0?void 0:t.map(Qa))!==null&&n!==void 0?n:[],extension:[],nestedType:(o=
(r=e.nestedType)===null||r===void 0?void 0:r.map(Jr))!==null&&o!==void 0?o:[],enumType:(a=(s=e.enumType)===null||s===void 0?void 0:s.map(Hr))!==null&&a!==void 0?
a:[],extensionRange:(c=(i=e.extensionRange)===null||i===void 0?void 0:i.map(m=>Object.assign({$typeName:"google.protobuf.DescriptorProto.ExtensionRange"},m)))!==
null&&c!==void 0?c:[],oneofDecl:[],reservedRange:[],reservedName:[]})}function Qa(e){return Object.assign(Object.create({label:1,typeName:"",extendee:"",defaultValue:"",
oneofIndex:0,jsonName:"",proto3Optional:!1}),Object.assign(Object.assign({$typeName:"google.protobuf.FieldDescriptorProto"},e),{options:e.options?za(e.options):
void 0}))}function za(e){var t,n,r;return Object.assign(Object.create({ctype:0,packed:!1,jstype:0,lazy:!1,unverifiedLazy:!1,deprecated:!1,weak:!1,debugRedact:!1,
retention:0}),Object.assign(Object.assign({$typeName:"google.protobuf.FieldOptions"},e),{targets:(t=e.targets)!==null&&t!==void 0?t:[],editionDefaults:(r=(n=e.editionDefaults)===
null||n===void 0?void 0:n.map(s=>Object.assign({$typeName:"google.protobuf.FieldOptions.EditionDefault"},s)))!==null&&r!==void 0?r:[],uninterpretedOption:[]}))}
function Hr(e){return Object.assign(Object.create({visibility:0}),{$typeName:"google.protobuf.EnumDescriptorProto",name:e.name,reservedName:[],reservedRange:[],
value:e.value.map(n=>Object.assign({$typeName:"google.protobuf.EnumValueDescriptorProto"},n))})}function k(e,t,...n){return n.reduce((r,o)=>r.nestedMessages[o],e.messages[t])}var qa=$r({name:"google/protobuf/descriptor.proto",package:"google.protobuf",messageType:[{name:"FileDescriptorSet",field:[{name:"file",number:1,type:11,label:3,
typeName:".google.protobuf.FileDescriptorProto"}],extensionRange:[{start:536e6,end:536000001}]},{name:"FileDescriptorProto",field:[{name:"name",number:1,type:9,
label:1},{name:"package",number:2,type:9,label:1},{name:"dependency",number:3,type:9,label:3},{name:"public_dependency",number:10,type:5,label:3},{name:"weak_de\
pendency",number:11,type:5,label:3},{name:"option_dependency",number:15,type:9,label:3},{name:"message_type",number:4,type:11,label:3,typeName:".google.protobuf\
.DescriptorProto"},{name:"enum_type",number:5,type:11,label:3,typeName:".google.protobuf.EnumDescriptorProto"},{name:"service",number:6,type:11,label:3,typeName:"\
.google.protobuf.ServiceDescriptorProto"},{name:"extension",number:7,type:11,label:3,typeName:".google.protobuf.FieldDescriptorProto"},{name:"options",number:8,
type:11,label:1,typeName:".google.protobuf.FileOptions"},{name:"source_code_info",number:9,type:11,label:1,typeName:".google.protobuf.SourceCodeInfo"},{name:"sy\
ntax",number:12,type:9,label:1},{name:"edition",number:14,type:14,label:1,typeName:".google.protobuf.Edition"}]},{name:"DescriptorProto",field:[{name:"name",number:1,
type:9,label:1},{name:"field",number:2,type:11,label:3,typeName:".google.protobuf.FieldDescriptorProto"},{name:"extension",number:6,type:11,label:3,typeName:".g\
oogle.protobuf.FieldDescriptorProto"},{name:"nested_type",number:3,type:11,label:3,typeName:".google.protobuf.DescriptorProto"},{name:"enum_type",number:4,type:11,
label:3,typeName:".google.protobuf.EnumDescriptorProto"},{name:"extension_range",number:5,type:11,label:3,typeName:".google.protobuf.DescriptorProto.ExtensionRa\
nge"},{name:"oneof_decl",number:8,type:11,label:3,typeName:".google.protobuf.OneofDescriptorProto"},{name:"options",number:7,type:11,label:1,typeName:".google.p\
rotobuf.MessageOptions"},{name:"reserved_range",number:9,type:11,label:3,typeName:".google.protobuf.DescriptorProto.ReservedRange"},{name:"reserved_name",number:10,
type:9,label:3},{name:"visibility",number:11,type:14,label:1,typeName:".google.protobuf.SymbolVisibility"}],nestedType:[{name:"ExtensionRange",field:[{name:"sta\
rt",number:1,type:5,label:1},{name:"end",number:2,type:5,label:1},{name:"options",number:3,type:11,label:1,typeName:".google.protobuf.ExtensionRangeOptions"}]},
{name:"ReservedRange",field:[{name:"start",number:1,type:5,label:1},{name:"end",number:2,type:5,label:1}]}]},{name:"ExtensionRangeOptions",field:[{name:"uninter\
preted_option",number:999,type:11,label:3,typeName:".google.protobuf.UninterpretedOption"},{name:"declaration",number:2,type:11,label:3,typeName:".google.protob\
uf.ExtensionRangeOptions.Declaration",options:{retention:2}},{name:"features",number:50,type:11,label:1,typeName:".google.protobuf.FeatureSet"},{name:"verificat\
ion",number:3,type:14,label:1,typeName:".google.protobuf.ExtensionRangeOptions.VerificationState",defaultValue:"UNVERIFIED",options:{retention:2}}],nestedType:[
{name:"Declaration",field:[{name:"number",number:1,type:5,label:1},{name:"full_name",number:2,type:9,label:1},{name:"type",number:3,type:9,label:1},{name:"reser\
ved",number:5,type:8,label:1},{name:"repeated",number:6,type:8,label:1}]}],enumType:[{name:"VerificationState",value:[{name:"DECLARATION",number:0},{name:"UNVER\
IFIED",number:1}]}],extensionRange:[{start:990,end:999},{start:1e3,end:536870912}]},{name:"FieldDescriptorProto",field:[{name:"name",number:1,type:9,label:1},{name:"\
number",number:3,type:5,label:1},{name:"label",number:4,type:14,label:1,typeName:".google.protobuf.FieldDescriptorProto.Label"},{name:"type",number:5,type:14,label:1,
typeName:".google.protobuf.FieldDescriptorProto.Type"},{name:"type_name",number:6,type:9,label:1},{name:"extendee",number:2,type:9,label:1},{name:"default_value",
number:7,type:9,label:1},{name:"oneof_index",number:9,type:5,label:1},{name:"json_name",number:10,type:9,label:1},{name:"options",number:8,type:11,label:1,typeName:"\
.google.protobuf.FieldOptions"},{name:"proto3_optional",number:17,type:8,label:1}],enumType:[{name:"Type",value:[{name:"TYPE_DOUBLE",number:1},{name:"TYPE_FLOAT",
number:2},{name:"TYPE_INT64",number:3},{name:"TYPE_UINT64",number:4},{name:"TYPE_INT32",number:5},{name:"TYPE_FIXED64",number:6},{name:"TYPE_FIXED32",number:7},
{name:"TYPE_BOOL",number:8},{name:"TYPE_STRING",number:9},{name:"TYPE_GROUP",number:10},{name:"TYPE_MESSAGE",number:11},{name:"TYPE_BYTES",number:12},{name:"TYP\
E_UINT32",number:13},{name:"TYPE_ENUM",number:14},{name:"TYPE_SFIXED32",number:15},{name:"TYPE_SFIXED64",number:16},{name:"TYPE_SINT32",number:17},{name:"TYPE_S\
INT64",number:18}]},{name:"Label",value:[{name:"LABEL_OPTIONAL",number:1},{name:"LABEL_REPEATED",number:3},{name:"LABEL_REQUIRED",number:2}]}]},{name:"OneofDesc\
riptorProto",field:[{name:"name",number:1,type:9,label:1},{name:"options",number:2,type:11,label:1,typeName:".google.protobuf.OneofOptions"}]},{name:"EnumDescri\
ptorProto",field:[{name:"name",number:1,type:9,label:1},{name:"value",number:2,type:11,label:3,typeName:".google.protobuf.EnumValueDescriptorProto"},{name:"opti\
ons",number:3,type:11,label:1,typeName:".google.protobuf.EnumOptions"},{name:"reserved_range",number:4,type:11,label:3,typeName:".google.protobuf.EnumDescriptor\
Proto.EnumReservedRange"},{name:"reserved_name",number:5,type:9,label:3},{name:"visibility",number:6,type:14,label:1,typeName:".google.protobuf.SymbolVisibility"}],
nestedType:[{name:"EnumReservedRange",field:[{name:"start",number:1,type:5,label:1},{name:"end",number:2,type:5,label:1}]}]},{name:"EnumValueDescriptorProto",field:[
{name:"name",number:1,type:9,label:1},{name:"number",number:2,type:5,label:1},{name:"options",number:3,type:11,label:1,typeName:".google.protobuf.EnumValueOptio\
ns"}]},{name:"ServiceDescriptorProto",field:[{name:"name",number:1,type:9,label:1},{name:"method",number:2,type:11,label:3,typeName:".google.protobuf.MethodDesc\
riptorProto"},{name:"options",number:3,type:11,label:1,typeName:".google.protobuf.ServiceOptions"}]},{name:"MethodDescriptorProto",field:[{name:"name",number:1,
type:9,label:1},{name:"input_type",number:2,type:9,label:1},{name:"output_type",number:3,type:9,label:1},{name:"options",number:4,type:11,label:1,typeName:".goo\
gle.protobuf.MethodOptions"},{name:"client_streaming",number:5,type:8,label:1,defaultValue:"false"},{name:"server_streaming",number:6,type:8,label:1,defaultValue:"\
false"}]},{name:"FileOptions",field:[{name:"java_package",number:1,type:9,label:1},{name:"java_outer_classname",number:8,type:9,label:1},{name:"java_multiple_fi\
les",number:10,type:8,label:1,defaultValue:"false",options:{}},{name:"java_generate_equals_and_hash",number:20,type:8,label:1,options:{deprecated:!0}},{name:"ja\
va_string_check_utf8",number:27,type:8,label:1,defaultValue:"false"},{name:"optimize_for",number:9,type:14,label:1,typeName:".google.protobuf.FileOptions.Optimi\
zeMode",defaultValue:"SPEED"},{name:"go_package",number:11,type:9,label:1},{name:"cc_generic_services",number:16,type:8,label:1,defaultValue:"false"},{name:"jav\
a_generic_services",number:17,type:8,label:1,defaultValue:"false"},{name:"py_generic_services",number:18,type:8,label:1,defaultValue:"false"},{name:"deprecated",
number:23,type:8,label:1,defaultValue:"false"},{name:"cc_enable_arenas",number:31,type:8,label:1,defaultValue:"true",options:{}},{name:"objc_class_prefix",number:36,
type:9,label:1},{name:"csharp_namespace",number:37,type:9,label:1},{name:"swift_prefix",number:39,type:9,label:1},{name:"php_class_prefix",number:40,type:9,label:1},
{name:"php_namespace",number:41,type:9,label:1},{name:"php_metadata_namespace",number:44,type:9,label:1},{name:"ruby_package",number:45,type:9,label:1},{name:"f\
eatures",number:50,type:11,label:1,typeName:".google.protobuf.FeatureSet"},{name:"uninterpreted_option",number:999,type:11,label:3,typeName:".google.protobuf.Un\
interpretedOption"}],enumType:[{name:"OptimizeMode",value:[{name:"SPEED",number:1},{name:"CODE_SIZE",number:2},{name:"LITE_RUNTIME",number:3}]}],extensionRange:[
{start:990,end:999},{start:1e3,end:536870912}]},{name:"MessageOptions",field:[{name:"message_set_wire_format",number:1,type:8,label:1,defaultValue:"false"},{name:"\
no_standard_descriptor_accessor",number:2,type:8,label:1,defaultValue:"false"},{name:"deprecated",number:3,type:8,label:1,defaultValue:"false"},{name:"map_entry",
number:7,type:8,label:1},{name:"deprecated_legacy_json_field_conflicts",number:11,type:8,label:1,options:{deprecated:!0}},{name:"features",number:12,type:11,label:1,
typeName:".google.protobuf.FeatureSet"},{name:"uninterpreted_option",number:999,type:11,label:3,typeName:".google.protobuf.UninterpretedOption"}],extensionRange:[
{start:990,end:999},{start:1e3,end:536870912}]},{name:"FieldOptions",field:[{name:"ctype",number:1,type:14,label:1,typeName:".google.protobuf.FieldOptions.CType",
defaultValue:"STRING"},{name:"packed",number:2,type:8,label:1},{name:"jstype",number:6,type:14,label:1,typeName:".google.protobuf.FieldOptions.JSType",defaultValue:"\
JS_NORMAL"},{name:"lazy",number:5,type:8,label:1,defaultValue:"false"},{name:"unverified_lazy",number:15,type:8,label:1,defaultValue:"false"},{name:"deprecated",
number:3,type:8,label:1,defaultValue:"false"},{name:"weak",number:10,type:8,label:1,defaultValue:"false",options:{deprecated:!0}},{name:"debug_redact",number:16,
type:8,label:1,defaultValue:"false"},{name:"retention",number:17,type:14,label:1,typeName:".google.protobuf.FieldOptions.OptionRetention"},{name:"targets",number:19,
type:14,label:3,typeName:".google.protobuf.FieldOptions.OptionTargetType"},{name:"edition_defaults",number:20,type:11,label:3,typeName:".google.protobuf.FieldOp\
tions.EditionDefault"},{name:"features",number:21,type:11,label:1,typeName:".google.protobuf.FeatureSet"},{name:"feature_support",number:22,type:11,label:1,typeName:"\
.google.protobuf.FieldOptions.FeatureSupport"},{name:"uninterpreted_option",number:999,type:11,label:3,typeName:".google.protobuf.UninterpretedOption"}],nestedType:[
{name:"EditionDefault",field:[{name:"edition",number:3,type:14,label:1,typeName:".google.protobuf.Edition"},{name:"value",number:2,type:9,label:1}]},{name:"Feat\
ureSupport",field:[{name:"edition_introduced",number:1,type:14,label:1,typeName:".google.protobuf.Edition"},{name:"edition_deprecated",number:2,type:14,label:1,
typeName:".google.protobuf.Edition"},{name:"deprecation_warning",number:3,type:9,label:1},{name:"edition_removed",number:4,type:14,label:1,typeName:".google.pro\
tobuf.Edition"},{name:"removal_error",number:5,type:9,label:1}]}],enumType:[{name:"CType",value:[{name:"STRING",number:0},{name:"CORD",number:1},{name:"STRING_P\
IECE",number:2}]},{name:"JSType",value:[{name:"JS_NORMAL",number:0},{name:"JS_STRING",number:1},{name:"JS_NUMBER",number:2}]},{name:"OptionRetention",value:[{name:"\
RETENTION_UNKNOWN",number:0},{name:"RETENTION_RUNTIME",number:1},{name:"RETENTION_SOURCE",number:2}]},{name:"OptionTargetType",value:[{name:"TARGET_TYPE_UNKNOWN",
number:0},{name:"TARGET_TYPE_FILE",number:1},{name:"TARGET_TYPE_EXTENSION_RANGE",number:2},{name:"TARGET_TYPE_MESSAGE",number:3},{name:"TARGET_TYPE_FIELD",number:4},
{name:"TARGET_TYPE_ONEOF",number:5},{name:"TARGET_TYPE_ENUM",number:6},{name:"TARGET_TYPE_ENUM_ENTRY",number:7},{name:"TARGET_TYPE_SERVICE",number:8},{name:"TAR\
GET_TYPE_METHOD",number:9}]}],extensionRange:[{start:990,end:999},{start:1e3,end:536870912}]},{name:"OneofOptions",field:[{name:"features",number:1,type:11,label:1,
typeName:".google.protobuf.FeatureSet"},{name:"uninterpreted_option",number:999,type:11,label:3,typeName:".google.protobuf.UninterpretedOption"}],extensionRange:[
{start:990,end:999},{start:1e3,end:536870912}]},{name:"EnumOptions",field:[{name:"allow_alias",number:2,type:8,label:1},{name:"deprecated",number:3,type:8,label:1,
defaultValue:"false"},{name:"deprecated_legacy_json_field_conflicts",number:6,type:8,label:1,options:{deprecated:!0}},{name:"features",number:7,type:11,label:1,
typeName:".google.protobuf.FeatureSet"},{name:"uninterpreted_option",number:999,type:11,label:3,typeName:".google.protobuf.UninterpretedOption"}],extensionRange:[
{start:990,end:999},{start:1e3,end:536870912}]},{name:"EnumValueOptions",field:[{name:"deprecated",number:1,type:8,label:1,defaultValue:"false"},{name:"features",
number:2,type:11,label:1,typeName:".google.protobuf.FeatureSet"},{name:"debug_redact",number:3,type:8,label:1,defaultValue:"false"},{name:"feature_support",number:4,
type:11,label:1,typeName:".google.protobuf.FieldOptions.FeatureSupport"},{name:"uninterpreted_option",number:999,type:11,label:3,typeName:".google.protobuf.Unin\
terpretedOption"}],extensionRange:[{start:990,end:999},{start:1e3,end:536870912}]},{name:"ServiceOptions",field:[{name:"features",number:34,type:11,label:1,typeName:"\
.google.protobuf.FeatureSet"},{name:"deprecated",number:33,type:8,label:1,defaultValue:"false"},{name:"uninterpreted_option",number:999,type:11,label:3,typeName:"\
.google.protobuf.UninterpretedOption"}],extensionRange:[{start:990,end:999},{start:1e3,end:536870912}]},{name:"MethodOptions",field:[{name:"deprecated",number:33,
type:8,label:1,defaultValue:"false"},{name:"idempotency_level",number:34,type:14,label:1,typeName:".google.protobuf.MethodOptions.IdempotencyLevel",defaultValue:"\
IDEMPOTENCY_UNKNOWN"},{name:"features",number:35,type:11,label:1,typeName:".google.protobuf.FeatureSet"},{name:"uninterpreted_option",number:999,type:11,label:3,
typeName:".google.protobuf.UninterpretedOption"}],enumType:[{name:"IdempotencyLevel",value:[{name:"IDEMPOTENCY_UNKNOWN",number:0},{name:"NO_SIDE_EFFECTS",number:1},
{name:"IDEMPOTENT",number:2}]}],extensionRange:[{start:990,end:999},{start:1e3,end:536870912}]},{name:"UninterpretedOption",field:[{name:"name",number:2,type:11,
label:3,typeName:".google.protobuf.UninterpretedOption.NamePart"},{name:"identifier_value",number:3,type:9,label:1},{name:"positive_int_value",number:4,type:4,label:1},
{name:"negative_int_value",number:5,type:3,label:1},{name:"double_value",number:6,type:1,label:1},{name:"string_value",number:7,type:12,label:1},{name:"aggregat\
e_value",number:8,type:9,label:1}],nestedType:[{name:"NamePart",field:[{name:"name_part",number:1,type:9,label:2},{name:"is_extension",number:2,type:8,label:2}]}]},
{name:"FeatureSet",field:[{name:"field_presence",number:1,type:14,label:1,typeName:".google.protobuf.FeatureSet.FieldPresence",options:{retention:1,targets:[4,1],
editionDefaults:[{value:"EXPLICIT",edition:900},{value:"IMPLICIT",edition:999},{value:"EXPLICIT",edition:1e3}]}},{name:"enum_type",number:2,type:14,label:1,typeName:"\
.google.protobuf.FeatureSet.EnumType",options:{retention:1,targets:[6,1],editionDefaults:[{value:"CLOSED",edition:900},{value:"OPEN",edition:999}]}},{name:"repe\
ated_field_encoding",number:3,type:14,label:1,typeName:".google.protobuf.FeatureSet.RepeatedFieldEncoding",options:{retention:1,targets:[4,1],editionDefaults:[{
value:"EXPANDED",edition:900},{value:"PACKED",edition:999}]}},{name:"utf8_validation",number:4,type:14,label:1,typeName:".google.protobuf.FeatureSet.Utf8Validat\
ion",options:{retention:1,targets:[4,1],editionDefaults:[{value:"NONE",edition:900},{value:"VERIFY",edition:999}]}},{name:"message_encoding",number:5,type:14,label:1,
typeName:".google.protobuf.FeatureSet.MessageEncoding",options:{retention:1,targets:[4,1],editionDefaults:[{value:"LENGTH_PREFIXED",edition:900}]}},{name:"json_\
format",number:6,type:14,label:1,typeName:".google.protobuf.FeatureSet.JsonFormat",options:{retention:1,targets:[3,6,1],editionDefaults:[{value:"LEGACY_BEST_EFF\
ORT",edition:900},{value:"ALLOW",edition:999}]}},{name:"enforce_naming_style",number:7,type:14,label:1,typeName:".google.protobuf.FeatureSet.EnforceNamingStyle",
options:{retention:2,targets:[1,2,3,4,5,6,7,8,9],editionDefaults:[{value:"STYLE_LEGACY",edition:900},{value:"STYLE2024",edition:1001},{value:"STYLE2026",edition:1002}]}},
{name:"default_symbol_visibility",number:8,type:14,label:1,typeName:".google.protobuf.FeatureSet.VisibilityFeature.DefaultSymbolVisibility",options:{retention:2,
targets:[1],editionDefaults:[{value:"EXPORT_ALL",edition:900},{value:"EXPORT_TOP_LEVEL",edition:1001},{value:"STRICT",edition:1002}]}},{name:"enforce_proto_limi\
ts",number:9,type:14,label:1,typeName:".google.protobuf.FeatureSet.ProtoLimitsFeature.EnforceProtoLimits",options:{retention:2,targets:[6,3,4,5],editionDefaults:[
{value:"LEGACY_NO_EXPLICIT_LIMITS",edition:900},{value:"PROTO_LIMITS2026",edition:1002}]}}],nestedType:[{name:"VisibilityFeature",enumType:[{name:"DefaultSymbol\
Visibility",value:[{name:"DEFAULT_SYMBOL_VISIBILITY_UNKNOWN",number:0},{name:"EXPORT_ALL",number:1},{name:"EXPORT_TOP_LEVEL",number:2},{name:"LOCAL_ALL",number:3},
{name:"STRICT",number:4}]}]},{name:"ProtoLimitsFeature",enumType:[{name:"EnforceProtoLimits",value:[{name:"PROTO_LIMITS_UNKNOWN",number:0},{name:"LEGACY_NO_EXPL\
ICIT_LIMITS",number:1},{name:"PROTO_LIMITS2026",number:2}]}]}],enumType:[{name:"FieldPresence",value:[{name:"FIELD_PRESENCE_UNKNOWN",number:0},{name:"EXPLICIT",
number:1},{name:"IMPLICIT",number:2},{name:"LEGACY_REQUIRED",number:3}]},{name:"EnumType",value:[{name:"ENUM_TYPE_UNKNOWN",number:0},{name:"OPEN",number:1},{name:"\
CLOSED",number:2}]},{name:"RepeatedFieldEncoding",value:[{name:"REPEATED_FIELD_ENCODING_UNKNOWN",number:0},{name:"PACKED",number:1},{name:"EXPANDED",number:2}]},
{name:"Utf8Validation",value:[{name:"UTF8_VALIDATION_UNKNOWN",number:0},{name:"VERIFY",number:2},{name:"NONE",number:3}]},{name:"MessageEncoding",value:[{name:"\
MESSAGE_ENCODING_UNKNOWN",number:0},{name:"LENGTH_PREFIXED",number:1},{name:"DELIMITED",number:2}]},{name:"JsonFormat",value:[{name:"JSON_FORMAT_UNKNOWN",number:0},
{name:"ALLOW",number:1},{name:"LEGACY_BEST_EFFORT",number:2}]},{name:"EnforceNamingStyle",value:[{name:"ENFORCE_NAMING_STYLE_UNKNOWN",number:0},{name:"STYLE2024",
number:1},{name:"STYLE_LEGACY",number:2},{name:"STYLE2026",number:3}]}],extensionRange:[{start:1e3,end:9995},{start:9995,end:1e4},{start:1e4,end:10001}]},{name:"\
FeatureSetDefaults",field:[{name:"defaults",number:1,type:11,label:3,typeName:".google.protobuf.FeatureSetDefaults.FeatureSetEditionDefault"},{name:"minimum_edi\
tion",number:4,type:14,label:1,typeName:".google.protobuf.Edition"},{name:"maximum_edition",number:5,type:14,label:1,typeName:".google.protobuf.Edition"}],nestedType:[
{name:"FeatureSetEditionDefault",field:[{name:"edition",number:3,type:14,label:1,typeName:".google.protobuf.Edition"},{name:"overridable_features",number:4,type:11,
label:1,typeName:".google.protobuf.FeatureSet"},{name:"fixed_features",number:5,type:11,label:1,typeName:".google.protobuf.FeatureSet"}]}]},{name:"SourceCodeInf\
o",field:[{name:"location",number:1,type:11,label:3,typeName:".google.protobuf.SourceCodeInfo.Location"}],nestedType:[{name:"Location",field:[{name:"path",number:1,
type:5,label:3,options:{packed:!0}},{name:"span",number:2,type:5,label:3,options:{packed:!0}},{name:"leading_comments",number:3,type:9,label:1},{name:"trailing_\
comments",number:4,type:9,label:1},{name:"leading_detached_comments",number:6,type:9,label:3}]}],extensionRange:[{start:536e6,end:536000001}]},{name:"GeneratedC\
odeInfo",field:[{name:"annotation",number:1,type:11,label:3,typeName:".google.protobuf.GeneratedCodeInfo.Annotation"}],nestedType:[{name:"Annotation",field:[{name:"\
path",number:1,type:5,label:3,options:{packed:!0}},{name:"source_file",number:2,type:9,label:1},{name:"begin",number:3,type:5,label:1},{name:"end",number:4,type:5,
label:1},{name:"semantic",number:5,type:14,label:1,typeName:".google.protobuf.GeneratedCodeInfo.Annotation.Semantic"}],enumType:[{name:"Semantic",value:[{name:"\
NONE",number:0},{name:"SET",number:1},{name:"ALIAS",number:2}]}]}]}],enumType:[{name:"Edition",value:[{name:"EDITION_UNKNOWN",number:0},{name:"EDITION_LEGACY",number:900},
{name:"EDITION_PROTO2",number:998},{name:"EDITION_PROTO3",number:999},{name:"EDITION_2023",number:1e3},{name:"EDITION_2024",number:1001},{name:"EDITION_2026",number:1002},
{name:"EDITION_UNSTABLE",number:9999},{name:"EDITION_1_TEST_ONLY",number:1},{name:"EDITION_2_TEST_ONLY",number:2},{name:"EDITION_99997_TEST_ONLY",number:99997},
{name:"EDITION_99998_TEST_ONLY",number:99998},{name:"EDITION_99999_TEST_ONLY",number:99999},{name:"EDITION_MAX",number:2147483647}]},{name:"SymbolVisibility",value:[
{name:"VISIBILITY_UNSET",number:0},{name:"VISIBILITY_LOCAL",number:1},{name:"VISIBILITY_EXPORT",number:2}]}]});var yo=k(qa,1);var jr;(function(e){e[e.DECLARATION=0]="DECLARATION",e[e.UNVERIFIED=1]="UNVERIFIED"})(jr||(jr={}));var Qr;(function(e){e[e.DOUBLE=1]="DOUBLE",e[e.FLOAT=2]="FLOAT",e[e.INT64=3]="INT64",e[e.UINT64=4]="UINT64",e[e.INT32=5]="INT32",e[e.FIXED64=6]="FIXED64",e[e.FIXED32=
7]="FIXED32",e[e.BOOL=8]="BOOL",e[e.STRING=9]="STRING",e[e.GROUP=10]="GROUP",e[e.MESSAGE=11]="MESSAGE",e[e.BYTES=12]="BYTES",e[e.UINT32=13]="UINT32",e[e.ENUM=14]=
"ENUM",e[e.SFIXED32=15]="SFIXED32",e[e.SFIXED64=16]="SFIXED64",e[e.SINT32=17]="SINT32",e[e.SINT64=18]="SINT64"})(Qr||(Qr={}));var zr;(function(e){e[e.OPTIONAL=1]="OPTIONAL",e[e.REPEATED=3]="REPEATED",e[e.REQUIRED=2]="REQUIRED"})(zr||(zr={}));var qr;(function(e){e[e.SPEED=1]="SPEED",e[e.CODE_SIZE=2]="CODE_SIZE",e[e.LITE_RUNTIME=3]="LITE_RUNTIME"})(qr||(qr={}));var eo;(function(e){e[e.STRING=0]="STRING",e[e.CORD=1]="CORD",e[e.STRING_PIECE=2]="STRING_PIECE"})(eo||(eo={}));var to;(function(e){e[e.JS_NORMAL=0]="JS_NORMAL",e[e.JS_STRING=1]="JS_STRING",e[e.JS_NUMBER=2]="JS_NUMBER"})(to||(to={}));var no;(function(e){e[e.RETENTION_UNKNOWN=0]="RETENTION_UNKNOWN",e[e.RETENTION_RUNTIME=1]="RETENTION_RUNTIME",e[e.RETENTION_SOURCE=2]="RETENTION_SOURCE"})(no||(no=
{}));var ro;(function(e){e[e.TARGET_TYPE_UNKNOWN=0]="TARGET_TYPE_UNKNOWN",e[e.TARGET_TYPE_FILE=1]="TARGET_TYPE_FILE",e[e.TARGET_TYPE_EXTENSION_RANGE=2]="TARGET_TYPE_\
EXTENSION_RANGE",e[e.TARGET_TYPE_MESSAGE=3]="TARGET_TYPE_MESSAGE",e[e.TARGET_TYPE_FIELD=4]="TARGET_TYPE_FIELD",e[e.TARGET_TYPE_ONEOF=5]="TARGET_TYPE_ONEOF",e[e.
TARGET_TYPE_ENUM=6]="TARGET_TYPE_ENUM",e[e.TARGET_TYPE_ENUM_ENTRY=7]="TARGET_TYPE_ENUM_ENTRY",e[e.TARGET_TYPE_SERVICE=8]="TARGET_TYPE_SERVICE",e[e.TARGET_TYPE_METHOD=
9]="TARGET_TYPE_METHOD"})(ro||(ro={}));var oo;(function(e){e[e.IDEMPOTENCY_UNKNOWN=0]="IDEMPOTENCY_UNKNOWN",e[e.NO_SIDE_EFFECTS=1]="NO_SIDE_EFFECTS",e[e.IDEMPOTENT=2]="IDEMPOTENT"})(oo||(oo={}));var so;(function(e){e[e.DEFAULT_SYMBOL_VISIBILITY_UNKNOWN=0]="DEFAULT_SYMBOL_VISIBILITY_UNKNOWN",e[e.EXPORT_ALL=1]="EXPORT_ALL",e[e.EXPORT_TOP_LEVEL=2]="EXPORT_\
TOP_LEVEL",e[e.LOCAL_ALL=3]="LOCAL_ALL",e[e.STRICT=4]="STRICT"})(so||(so={}));var ao;(function(e){e[e.PROTO_LIMITS_UNKNOWN=0]="PROTO_LIMITS_UNKNOWN",e[e.LEGACY_NO_EXPLICIT_LIMITS=1]="LEGACY_NO_EXPLICIT_LIMITS",e[e.PROTO_LIMITS2026=2]="PRO\
TO_LIMITS2026"})(ao||(ao={}));var io;(function(e){e[e.FIELD_PRESENCE_UNKNOWN=0]="FIELD_PRESENCE_UNKNOWN",e[e.EXPLICIT=1]="EXPLICIT",e[e.IMPLICIT=2]="IMPLICIT",e[e.LEGACY_REQUIRED=3]="LEGACY_\
REQUIRED"})(io||(io={}));var co;(function(e){e[e.ENUM_TYPE_UNKNOWN=0]="ENUM_TYPE_UNKNOWN",e[e.OPEN=1]="OPEN",e[e.CLOSED=2]="CLOSED"})(co||(co={}));var uo;(function(e){e[e.REPEATED_FIELD_ENCODING_UNKNOWN=0]="REPEATED_FIELD_ENCODING_UNKNOWN",e[e.PACKED=1]="PACKED",e[e.EXPANDED=2]="EXPANDED"})(uo||(uo={}));var lo;(function(e){e[e.UTF8_VALIDATION_UNKNOWN=0]="UTF8_VALIDATION_UNKNOWN",e[e.VERIFY=2]="VERIFY",e[e.NONE=3]="NONE"})(lo||(lo={}));var mo;(function(e){e[e.MESSAGE_ENCODING_UNKNOWN=0]="MESSAGE_ENCODING_UNKNOWN",e[e.LENGTH_PREFIXED=1]="LENGTH_PREFIXED",e[e.DELIMITED=2]="DELIMITED"})(mo||(mo={}));var fo;(function(e){e[e.JSON_FORMAT_UNKNOWN=0]="JSON_FORMAT_UNKNOWN",e[e.ALLOW=1]="ALLOW",e[e.LEGACY_BEST_EFFORT=2]="LEGACY_BEST_EFFORT"})(fo||(fo={}));var po;(function(e){e[e.ENFORCE_NAMING_STYLE_UNKNOWN=0]="ENFORCE_NAMING_STYLE_UNKNOWN",e[e.STYLE2024=1]="STYLE2024",e[e.STYLE_LEGACY=2]="STYLE_LEGACY",e[e.STYLE2026=
3]="STYLE2026"})(po||(po={}));var ho;(function(e){e[e.NONE=0]="NONE",e[e.SET=1]="SET",e[e.ALIAS=2]="ALIAS"})(ho||(ho={}));var go;(function(e){e[e.EDITION_UNKNOWN=0]="EDITION_UNKNOWN",e[e.EDITION_LEGACY=900]="EDITION_LEGACY",e[e.EDITION_PROTO2=998]="EDITION_PROTO2",e[e.EDITION_PROTO3=
999]="EDITION_PROTO3",e[e.EDITION_2023=1e3]="EDITION_2023",e[e.EDITION_2024=1001]="EDITION_2024",e[e.EDITION_2026=1002]="EDITION_2026",e[e.EDITION_UNSTABLE=9999]=
"EDITION_UNSTABLE",e[e.EDITION_1_TEST_ONLY=1]="EDITION_1_TEST_ONLY",e[e.EDITION_2_TEST_ONLY=2]="EDITION_2_TEST_ONLY",e[e.EDITION_99997_TEST_ONLY=99997]="EDITION\
_99997_TEST_ONLY",e[e.EDITION_99998_TEST_ONLY=99998]="EDITION_99998_TEST_ONLY",e[e.EDITION_99999_TEST_ONLY=99999]="EDITION_99999_TEST_ONLY",e[e.EDITION_MAX=2147483647]=
"EDITION_MAX"})(go||(go={}));var bo;(function(e){e[e.VISIBILITY_UNSET=0]="VISIBILITY_UNSET",e[e.VISIBILITY_LOCAL=1]="VISIBILITY_LOCAL",e[e.VISIBILITY_EXPORT=2]="VISIBILITY_EXPORT"})(bo||(bo=
{}));function rn(e){return Object.assign(Object.assign({readUnknownFields:!0,recursionLimit:100},e),{depth:0})}function P(e,t,n){let r=w(e);return on(e).read(r,new _(
t),rn(n),t.byteLength),r}var Eo=new WeakMap;function on(e){let t=Eo.get(e);return t===void 0&&(t=ei(e)),t}function ei(e){let t=String(e),n=new Map,r={read:ti(t,n),readGroup:ni(t,n)};Eo.
set(e,r);for(let o of e.fields)n.set(o.number,No(o));return r}function ti(e,t){return(n,r,o,s)=>{var a;if(++o.depth>o.recursionLimit)throw new Error(`cannot dec\
ode ${e} from binary: maximum recursion depth of ${o.recursionLimit} reached`);let i=r.pos+s,c=(a=n.$unknown)!==null&&a!==void 0?a:[];for(;r.pos<i;){let[u,m]=r.
tag(),p=t.get(u);if(p===void 0){let h=r.skip(m,u,o.recursionLimit-o.depth);o.readUnknownFields&&c.push({no:u,wireType:m,data:h});continue}p(n,r,o,m)}c.length>0&&
(n.$unknown=c),o.depth--}}function ni(e,t){return(n,r,o,s)=>{var a;if(++o.depth>o.recursionLimit)throw new Error(`cannot decode ${e} from binary: maximum recurs\
ion depth of ${o.recursionLimit} reached`);let i,c,u=(a=n.$unknown)!==null&&a!==void 0?a:[];for(;r.pos<r.len&&([i,c]=r.tag(),c!=A.EndGroup);){let m=t.get(i);if(m===
void 0){let p=r.skip(c,i,o.recursionLimit-o.depth);o.readUnknownFields&&u.push({no:i,wireType:c,data:p});continue}m(n,r,o,c)}if(c!=A.EndGroup||i!==s)throw new Error(
"invalid end group tag");u.length>0&&(n.$unknown=u),o.depth--}}function So(e,t,n,r,o){No(n)(e[V],t,o,r)}function No(e){switch(e.fieldKind){case"scalar":return ri(
e);case"enum":return oi(e);case"message":return si(e);case"list":return ai(e);case"map":return ii(e)}}function ri(e){let t=Ke(e.scalar,e.utf8Validation,e.longAsString),
n=e.localName;if(e.oneof){let r=e.oneof.localName;return(o,s)=>{o[r]={case:n,value:t(s)}}}return(r,o)=>{r[n]=t(o)}}function oi(e){var t;let n=e.localName,r=(t=e.
oneof)===null||t===void 0?void 0:t.localName;if(e.enum.open)return r!==void 0?(a,i)=>{a[r]={case:n,value:i.int32()}}:(a,i)=>{a[n]=i.int32()};let o=e.enum.values,
s=e.number;return(a,i,c,u)=>{var m;let p=i.int32();if(o.some(h=>h.number===p))r!==void 0?a[r]={case:n,value:p}:a[n]=p;else if(c.readUnknownFields){let h=[];qn(p,
h);let d=(m=a.$unknown)!==null&&m!==void 0?m:[];d.push({no:s,wireType:u,data:new Uint8Array(h)}),a.$unknown=d}}}function si(e){let t=e.localName,{toMessage:n,toLocal:r}=C(
e),o=Io(e);if(e.oneof){let s=e.oneof.localName;return(a,i,c)=>{let u=a[s],m=n(u.case===t?u.value:void 0);o(m,i,c),a[s]={case:t,value:r(m)}}}return(s,a,i)=>{let c=n(
s[t]);o(c,a,i),s[t]=r(c)}}function Io(e){let t=on(e.message);if(e.delimitedEncoding){let n=e.number;return(r,o,s)=>t.readGroup(r,o,s,n)}return(n,r,o)=>t.read(n,
r,o,r.uint32())}function ai(e){let t=e.localName;if(e.listKind=="message"){let{toMessage:a,toLocal:i}=C(e),c=Io(e);return(u,m,p)=>{let h=a(void 0);c(h,m,p),u[t].
push(i(h))}}let n=e.listKind=="enum"?l.INT32:e.scalar,r=e.listKind=="scalar"?e.longAsString:!1,o=Ke(n,e.utf8Validation,r),s=n!=l.STRING&&n!=l.BYTES;return(a,i,c,u)=>{
let m=a[t];if(u==A.LengthDelimited&&s){let p=i.uint32()+i.pos;for(;i.pos<p;)m.push(o(i))}else m.push(o(i))}}function ii(e){let t=e.localName,n=Ke(e.mapKey,e.utf8Validation,
!1),r=F(e.mapKey,!1),o,s;switch(e.mapKind){case"scalar":{let a=e.scalar,i=Ke(a,e.utf8Validation,!1);if(o=c=>i(c),a==l.BYTES)s=()=>new Uint8Array(0);else{let c=F(
a,!1);s=()=>c}break}case"enum":{let a=e.enum.values[0].number;o=i=>i.int32(),s=()=>a;break}case"message":{let{toMessage:a,toLocal:i}=C(e),c=on(e.message).read;o=
(u,m,p)=>{let h=a(p);return c(h,u,m,u.uint32()),i(h)},s=()=>i(a(void 0));break}}return(a,i,c)=>{let u=a[t],m,p,h=i.uint32(),d=i.pos+h;for(;i.pos<d;){let[f,b]=i.
tag();switch(f){case 1:m=n(i);break;case 2:p=o(i,c,p);break;default:i.skip(b,f,c.recursionLimit-c.depth)}}m===void 0&&(m=r),p===void 0&&(p=s()),L(u,m,p)}}function Ke(e,t,n){
switch(e){case l.STRING:return r=>r.string(t);case l.BOOL:return r=>r.bool();case l.DOUBLE:return r=>r.double();case l.FLOAT:return r=>r.float();case l.INT32:return r=>r.
int32();case l.INT64:return n?r=>String(r.int64()):r=>r.int64();case l.UINT64:return n?r=>String(r.uint64()):r=>r.uint64();case l.FIXED64:return n?r=>String(r.fixed64()):
r=>r.fixed64();case l.BYTES:return r=>r.bytes();case l.FIXED32:return r=>r.fixed32();case l.SFIXED32:return r=>r.sfixed32();case l.SFIXED64:return n?r=>String(r.
sfixed64()):r=>r.sfixed64();case l.SINT64:return n?r=>String(r.sint64()):r=>r.sint64();case l.UINT32:return r=>r.uint32();case l.SINT32:return r=>r.sint32()}}function M(e,t){var n;let r=P(yo,re(e));return r.messageType.forEach(Ie),r.dependency=(n=t?.map(s=>s.proto.name))!==null&&n!==void 0?n:[],Xe(r,s=>t?.find(a=>a.proto.
name===s)).getFile(r.name)}var vo=M("Ch5nb29nbGUvcHJvdG9idWYvZHVyYXRpb24ucHJvdG8SD2dvb2dsZS5wcm90b2J1ZiIqCghEdXJhdGlvbhIPCgdzZWNvbmRzGAEgASgDEg0KBW5hbm9zGAIgASgFQoMBChNjb20uZ29vZ2xlLnByb3\
RvYnVmQg1EdXJhdGlvblByb3RvUAFaMWdvb2dsZS5nb2xhbmcub3JnL3Byb3RvYnVmL3R5cGVzL2tub3duL2R1cmF0aW9ucGL4AQGiAgNHUEKqAh5Hb29nbGUuUHJvdG9idWYuV2VsbEtub3duVHlwZXNiBnByb3\
RvMw");var sn=M("Chlnb29nbGUvcHJvdG9idWYvYW55LnByb3RvEg9nb29nbGUucHJvdG9idWYiJgoDQW55EhAKCHR5cGVfdXJsGAEgASgJEg0KBXZhbHVlGAIgASgMQnYKE2NvbS5nb29nbGUucHJvdG9idWZCCEFueV\
Byb3RvUAFaLGdvb2dsZS5nb2xhbmcub3JnL3Byb3RvYnVmL3R5cGVzL2tub3duL2FueXBiogIDR1BCqgIeR29vZ2xlLlByb3RvYnVmLldlbGxLbm93blR5cGVzYgZwcm90bzM"),xo=k(sn,0);var ci=2,ui=3,Ao={writeUnknownFields:!0};function li(e){return e?Object.assign(Object.assign({},Ao),e):Ao}function se(e,t,n){let r=new te;return an(e)(r,li(n),t),
r.finish()}var wo=new WeakMap;function an(e){let t=wo.get(e);return t===void 0&&(t=mi(e)),t}function mi(e){let t=e.typeName,n=e.fields.concat().sort((a,i)=>a.number-
i.number),r=n[0],o=[],s=(a,i,c)=>{if(c.$typeName!==t&&r!==void 0)throw new x(r,`cannot use ${r} with message ${c.$typeName}`,"ForeignFieldError");for(let m=0;m<
o.length;m++)o[m](a,i,c);let u=c.$unknown;if(u!==void 0&&i.writeUnknownFields)for(let m=0;m<u.length;m++){let{no:p,wireType:h,data:d}=u[m];a.tag(p,h).raw(d)}};wo.
set(e,s);for(let a of n)o.push(To(a));return s}function To(e){switch(e.fieldKind){case"message":case"scalar":case"enum":return di(e);case"list":return pi(e);case"\
map":return hi(e)}}function di(e){let t=fi(e),n=e.localName;if(e.oneof){let r=e.oneof.localName;return(o,s,a)=>{let i=a[r];i.case===n&&t(o,s,i.value)}}if(e.presence!=
ci){let r=e.presence==ui?`cannot encode ${e} to binary: required field not set`:void 0;return(o,s,a)=>{let i=a[n];if(i!==void 0&&Object.prototype.hasOwnProperty.
call(a,n))t(o,s,i);else if(r!==void 0)throw new Error(r)}}if(e.fieldKind=="enum"){let r=e.enum.values[0].number;return(o,s,a)=>{let i=a[n];i!==r&&t(o,s,i)}}switch(e.
scalar){case l.BOOL:return(r,o,s)=>{let a=s[n];a!==!1&&t(r,o,a)};case l.STRING:return(r,o,s)=>{let a=s[n];a!==""&&t(r,o,a)};case l.BYTES:return(r,o,s)=>{let a=s[n];
(!(a instanceof Uint8Array)||a.byteLength>0)&&t(r,o,a)};case l.DOUBLE:case l.FLOAT:return(r,o,s)=>{let a=s[n];Object.is(a,0)||t(r,o,a)};default:return(r,o,s)=>{
let a=s[n];a!=0&&t(r,o,a)}}}function fi(e){switch(e.fieldKind){case"message":{let{toMessage:t}=C(e),n=Vo(e);return(r,o,s)=>{n(r,o,t(s))}}case"scalar":case"enum":{
let t=e.fieldKind=="enum"?l.INT32:e.scalar,n=e.number,r=Je(t),o=$e(t,e.parent.typeName,e.name);return(s,a,i)=>{s.tag(n,r),o(s,i)}}}}function pi(e){let t=e.localName,
n=e.number;switch(e.listKind){case"message":{let{toMessage:r}=C(e),o=Vo(e);return(s,a,i)=>{let c=i[t];for(let u=0;u<c.length;u++)o(s,a,r(c[u]))}}case"scalar":case"\
enum":{let r=e.listKind=="enum"?l.INT32:e.scalar,o=$e(r,e.parent.typeName,e.name);if(e.packed)return(a,i,c)=>{let u=c[t];if(u.length!=0){a.tag(n,A.LengthDelimited).
fork();for(let m=0;m<u.length;m++)o(a,u[m]);a.join()}};let s=Je(r);return(a,i,c)=>{let u=c[t];for(let m=0;m<u.length;m++)a.tag(n,s),o(a,u[m])}}}}function hi(e){
let t=e.localName,n=e.number,r=gi(e);if(e.mapKind=="message"){let{toMessage:i}=C(e),c=an(e.message);return(u,m,p)=>{let h=p[t],d=Object.keys(h);for(let f=0;f<d.
length;f++){let b=d[f];u.tag(n,A.LengthDelimited).fork(),r(u,b),u.tag(2,A.LengthDelimited).fork(),c(u,m,i(h[b])),u.join(),u.join()}}}let o=e.mapKind=="enum"?l.INT32:
e.scalar,s=Je(o),a=$e(o,e.parent.typeName,e.name);return(i,c,u)=>{let m=u[t],p=Object.keys(m);for(let h=0;h<p.length;h++){let d=p[h];i.tag(n,A.LengthDelimited).
fork(),r(i,d),i.tag(2,s),a(i,m[d]),i.join()}}}function gi(e){let t=Je(e.mapKey),n=$e(e.mapKey,e.parent.typeName,e.name),r=bi(e.mapKey);return(o,s)=>{o.tag(1,t),
n(o,r(s))}}function bi(e){switch(e){case l.STRING:return t=>t;case l.BOOL:return t=>t==="true"?!0:t==="false"?!1:t;case l.UINT64:case l.FIXED64:return t=>{try{return v.
uParse(t)}catch{return t}};case l.INT64:case l.SFIXED64:case l.SINT64:return t=>{try{return v.parse(t)}catch{return t}};default:return t=>{let n=Number.parseInt(
t);return Number.isFinite(n)?n:t}}}function $e(e,t,n){let r=yi(e);return(o,s)=>{try{r(o,s)}catch(a){throw a instanceof Error?new Error(`cannot encode field ${t}\
.${n} to binary: ${a.message}`):a}}}function yi(e){switch(e){case l.STRING:return(t,n)=>t.string(n);case l.BOOL:return(t,n)=>t.bool(n);case l.DOUBLE:return(t,n)=>t.
double(n);case l.FLOAT:return(t,n)=>t.float(n);case l.INT32:return(t,n)=>t.int32(n);case l.INT64:return(t,n)=>t.int64(n);case l.UINT64:return(t,n)=>t.uint64(n);case l.
FIXED64:return(t,n)=>t.fixed64(n);case l.BYTES:return(t,n)=>t.bytes(n);case l.FIXED32:return(t,n)=>t.fixed32(n);case l.SFIXED32:return(t,n)=>t.sfixed32(n);case l.
SFIXED64:return(t,n)=>t.sfixed64(n);case l.SINT64:return(t,n)=>t.sint64(n);case l.UINT32:return(t,n)=>t.uint32(n);case l.SINT32:return(t,n)=>t.sint32(n)}}function Ro(e,t,n,r){
To(r)(e,t,n[V])}function Vo(e){let t=e.number,n=an(e.message);return e.delimitedEncoding?(r,o,s)=>{r.tag(t,A.StartGroup),n(r,o,s),r.tag(t,A.EndGroup)}:(r,o,s)=>{
r.tag(t,A.LengthDelimited).fork(),n(r,o,s),r.join()}}function Je(e){switch(e){case l.BYTES:case l.STRING:return A.LengthDelimited;case l.DOUBLE:case l.FIXED64:case l.
SFIXED64:return A.Bit64;case l.FIXED32:case l.SFIXED32:case l.FLOAT:return A.Bit32;default:return A.Varint}}function Lo(e,t,n){let r=!1;return n||(n=w(xo),r=!0),n.value=se(e,t),n.typeUrl=Ni(t.$typeName),r?n:void 0}function Si(e,t){if(e.typeUrl==="")return!1;let n=typeof t==
"string"?t:t.typeName,r=Do(e.typeUrl);return n===r}function Fo(e,t){if(e.typeUrl==="")return;let n=t.kind=="message"?t:t.getMessage(Do(e.typeUrl));if(!(!n||!Si(
e,n)))return P(n,e.value)}function Ni(e){return`type.googleapis.com/${e}`}function Do(e){let t=e.lastIndexOf("/"),n=t>=0?e.substring(t+1):e;if(!n.length)throw new Error(`invalid type url\
: ${e}`);return n}var Ae=M("Chxnb29nbGUvcHJvdG9idWYvc3RydWN0LnByb3RvEg9nb29nbGUucHJvdG9idWYihAEKBlN0cnVjdBIzCgZmaWVsZHMYASADKAsyIy5nb29nbGUucHJvdG9idWYuU3RydWN0LkZpZWxkc0VudHJ5Gk\
UKC0ZpZWxkc0VudHJ5EgsKA2tleRgBIAEoCRIlCgV2YWx1ZRgCIAEoCzIWLmdvb2dsZS5wcm90b2J1Zi5WYWx1ZToCOAEi6gEKBVZhbHVlEjAKCm51bGxfdmFsdWUYASABKA4yGi5nb29nbGUucHJvdG9idWYuTn\
VsbFZhbHVlSAASFgoMbnVtYmVyX3ZhbHVlGAIgASgBSAASFgoMc3RyaW5nX3ZhbHVlGAMgASgJSAASFAoKYm9vbF92YWx1ZRgEIAEoCEgAEi8KDHN0cnVjdF92YWx1ZRgFIAEoCzIXLmdvb2dsZS5wcm90b2J1Zi\
5TdHJ1Y3RIABIwCgpsaXN0X3ZhbHVlGAYgASgLMhouZ29vZ2xlLnByb3RvYnVmLkxpc3RWYWx1ZUgAQgYKBGtpbmQiMwoJTGlzdFZhbHVlEiYKBnZhbHVlcxgBIAMoCzIWLmdvb2dsZS5wcm90b2J1Zi5WYWx1ZS\
obCglOdWxsVmFsdWUSDgoKTlVMTF9WQUxVRRAAQn8KE2NvbS5nb29nbGUucHJvdG9idWZCC1N0cnVjdFByb3RvUAFaL2dvb2dsZS5nb2xhbmcub3JnL3Byb3RvYnVmL3R5cGVzL2tub3duL3N0cnVjdHBi+AEBog\
IDR1BCqgIeR29vZ2xlLlByb3RvYnVmLldlbGxLbm93blR5cGVzYgZwcm90bzM"),Uo=k(Ae,0),cn=k(Ae,1),ko=k(Ae,2),He;(function(e){e[e.NULL_VALUE=0]="NULL_VALUE"})(He||(He={}));function Co(e,t,n){Oo(t,e);let r=Ii(e.$unknown,t),[o,s,a]=ae(t),i=rn(n);for(let c of r)So(o,new _(c.data),s,c.wireType,i);return a()}function Mo(e,t,n){var r;Oo(
t,e);let o=((r=e.$unknown)!==null&&r!==void 0?r:[]).filter(u=>u.no!==t.number),[s,a]=ae(t,n),i=new te;Ro(i,{writeUnknownFields:!0},s,a);let c=new _(i.finish());
for(;c.pos<c.len;){let[u,m]=c.tag(),p=c.skip(m,u);o.push({no:u,wireType:m,data:p})}e.$unknown=o}function Ii(e,t){if(e===void 0)return[];if(t.fieldKind==="enum"||t.fieldKind==="scalar"){for(let n=e.length-1;n>=0;--n)if(e[n].no==t.number)return[e[n]];return[]}
return e.filter(n=>n.no===t.number)}function ae(e,t){let n=e.typeName,r=Object.assign(Object.assign({},e),{kind:"field",parent:e.extendee,localName:n}),o=Object.
assign(Object.assign({},e.extendee),{fields:[r],members:[r],oneofs:[]}),s=w(o,t!==void 0?{[n]:t}:void 0);return[Dr(o,s),r,()=>{let a=s[n];if(a===void 0){let i=e.
message;return G(i)?F(i.fields[0].scalar,i.fields[0].longAsString):w(i)}return a}]}function Oo(e,t){if(e.extendee.typeName!=t.$typeName)throw new Error(`extensi\
on ${e.typeName} can only be applied to message ${e.extendee.typeName}`)}var je=Date.parse("0001-01-01T00:00:00Z"),Qe=Date.parse("9999-12-31T23:59:59Z"),ze=-315576e6,qe=315576e6;var vi=3,xi=2,Go={alwaysEmitImplicit:!1,enumAsInteger:!1,useProtoFieldName:!1};function Ai(e){return e?Object.assign(Object.assign({},Go),e):Go}function ln(e,t,n){
return et(e)(Ai(n),t)}function Bo(e,t,n){var r;let o=ln(e,t,n);return JSON.stringify(o,null,(r=n?.prettySpaces)!==null&&r!==void 0?r:0)}var un=new WeakMap;function et(e){let t=un.get(e);return t===void 0&&(t=wi(e)),t}function wi(e){let t=e.typeName,n=Ri(e);if(n!==void 0){let i=e.fields[0],c=(u,m)=>{
if(m.$typeName!==t&&i!==void 0)throw new x(i,`cannot use ${i} with message ${m.$typeName}`,"ForeignFieldError");return n(u,m)};return un.set(e,c),c}let r=e.fields.
concat().sort((i,c)=>i.number-c.number),o=r[0],s=[],a=(i,c)=>{if(c.$typeName!==t&&o!==void 0)throw new x(o,`cannot use ${o} with message ${c.$typeName}`,"Foreig\
nFieldError");let u={};for(let m=0;m<s.length;m++)s[m](i,c,u);return i.registry&&ki(u,i,i.registry,c,e),u};un.set(e,a);for(let i of r){let c=Vi(i);s.push(i.jsonName===
"__proto__"||i.name==="__proto__"?Ti(c):c)}return a}function Ti(e){return(t,n,r)=>{let o=Object.create(null);e(t,n,o);for(let s of Object.keys(o))L(r,s,o[s])}}function Ri(e){
if(e.typeName.startsWith("google.protobuf."))switch(e.typeName){case"google.protobuf.Any":return(t,n)=>Ci(n,t);case"google.protobuf.Timestamp":return(t,n)=>Gi(n);case"\
google.protobuf.Duration":return(t,n)=>Mi(n);case"google.protobuf.FieldMask":return(t,n)=>Oi(n);case"google.protobuf.Struct":return(t,n)=>Xo(n);case"google.prot\
obuf.Value":return(t,n)=>fn(n);case"google.protobuf.ListValue":return(t,n)=>Wo(n);default:if(G(e)){let t=e.fields[0],n=t.localName,r=F(t.scalar,!1),o=tt(t);return(s,a)=>{
let i=a[n];return o(s,i===void 0?r:i)}}return}}function Vi(e){switch(e.fieldKind){case"scalar":case"enum":case"message":return Li(e);case"list":case"map":{let t=e.
fieldKind=="list"?Zo(e):Po(e),n=e.name,r=e.jsonName,o=e.localName;return(s,a,i)=>{let c=t(s,a[o]);c!==void 0&&(i[s.useProtoFieldName?n:r]=c)}}}}function Li(e){let t=Yo(
e),n=e.name,r=e.jsonName,o=e.localName;if(e.oneof){let s=e.oneof.localName;return(a,i,c)=>{let u=i[s];u.case===o&&(c[a.useProtoFieldName?n:r]=t(a,u.value))}}if(e.
presence!=xi){let s=e.presence==vi?`cannot encode ${e} to JSON: required field not set`:void 0;return(a,i,c)=>{let u=i[o];if(u!==void 0&&Object.prototype.hasOwnProperty.
call(i,o))c[a.useProtoFieldName?n:r]=t(a,u);else if(s!==void 0)throw new Error(s)}}if(e.fieldKind=="enum"){let s=e.enum.values[0].number;return(a,i,c)=>{let u=i[o];
(u!==s||a.alwaysEmitImplicit)&&(c[a.useProtoFieldName?n:r]=t(a,u))}}switch(e.scalar){case l.BOOL:return(s,a,i)=>{let c=a[o];(c!==!1||s.alwaysEmitImplicit)&&(i[s.
useProtoFieldName?n:r]=t(s,c))};case l.STRING:return(s,a,i)=>{let c=a[o];(c!==""||s.alwaysEmitImplicit)&&(i[s.useProtoFieldName?n:r]=t(s,c))};case l.BYTES:return(s,a,i)=>{
let c=a[o];(!(c instanceof Uint8Array)||c.byteLength>0||s.alwaysEmitImplicit)&&(i[s.useProtoFieldName?n:r]=t(s,c))};case l.DOUBLE:case l.FLOAT:return(s,a,i)=>{let c=a[o];
(!Object.is(c,0)||s.alwaysEmitImplicit)&&(i[s.useProtoFieldName?n:r]=t(s,c))};default:return(s,a,i)=>{let c=a[o];(c!=0||s.alwaysEmitImplicit)&&(i[s.useProtoFieldName?
n:r]=t(s,c))}}}function Fi(e){switch(e.fieldKind){case"scalar":case"enum":case"message":return Yo(e);case"list":return Zo(e);case"map":return Po(e)}}function Yo(e){
switch(e.fieldKind){case"scalar":return tt(e);case"enum":return dn(e);case"message":return mn(e)}}function mn(e){let{toMessage:t}=C(e),n=et(e.message);return(r,o)=>n(
r,t(o))}function Zo(e){let t=Di(e);return(n,r)=>{let o=r;if(o.length==0&&!n.alwaysEmitImplicit)return;let s=[];for(let a=0;a<o.length;a++)s.push(t(n,o[a]));return s}}
function Di(e){switch(e.listKind){case"scalar":return tt(e);case"enum":return dn(e);case"message":return mn(e)}}function Po(e){let t=Ui(e);return(n,r)=>{let o=r,
s=Object.keys(o);if(s.length==0&&!n.alwaysEmitImplicit)return;let a={};for(let i=0;i<s.length;i++){let c=s[i];L(a,c,t(n,o[c]))}return a}}function Ui(e){switch(e.
mapKind){case"scalar":return tt(e);case"enum":return dn(e);case"message":return mn(e)}}function dn(e){let t=e.enum;return t.typeName=="google.protobuf.NullValue"?
(n,r)=>{if(typeof r!="number")throw _o(t,r);return null}:(n,r)=>{var o,s;if(typeof r!="number")throw _o(t,r);return n.enumAsInteger?r:(s=(o=t.value[r])===null||
o===void 0?void 0:o.jsonName)!==null&&s!==void 0?s:r}}function _o(e,t){return new Error(`cannot encode ${e} to JSON: expected number, got ${R(t)}`)}function tt(e){
switch(e.scalar){case l.INT32:case l.SFIXED32:case l.SINT32:case l.FIXED32:case l.UINT32:return(t,n)=>{if(typeof n!="number")throw ie(e,n);return n};case l.FLOAT:case l.
DOUBLE:return(t,n)=>{if(typeof n!="number")throw ie(e,n);return Number.isNaN(n)?"NaN":n===Number.POSITIVE_INFINITY?"Infinity":n===Number.NEGATIVE_INFINITY?"-Inf\
inity":n};case l.STRING:return(t,n)=>{if(typeof n!="string")throw ie(e,n);return n};case l.BOOL:return(t,n)=>{if(typeof n!="boolean")throw ie(e,n);return n};case l.
UINT64:case l.FIXED64:case l.INT64:case l.SFIXED64:case l.SINT64:return(t,n)=>{if(typeof n=="bigint"||typeof n=="string"||typeof n=="number"&&Number.isInteger(n))
return n.toString();throw ie(e,n)};case l.BYTES:return(t,n)=>{if(n instanceof Uint8Array)return Qt(n);throw ie(e,n)}}}function ie(e,t){var n;return new Error(`c\
annot encode ${e} to JSON: ${(n=Me(e,t))===null||n===void 0?void 0:n.message}`)}function ki(e,t,n,r,o){let s=r.$unknown;if(s===void 0)return;let a=new Set;for(let i=0;i<
s.length;i++){let{no:c}=s[i];if(!a.has(c)){a.add(c);let u=n.getExtensionFor(o,c);if(!u)continue;let m=Co(r,u),[p,h]=ae(u,m),d=p[V],f=Fi(h)(t,d[h.localName]);f!==
void 0&&(e[u.jsonName]=f)}}}function Ci(e,t){if(e.typeUrl==="")return{};let{registry:n}=t,r,o;if(n&&(r=Fo(e,n),r&&(o=n.getMessage(r.$typeName))),!o||!r)throw new Error(
`cannot encode message ${e.$typeName} to JSON: "${e.typeUrl}" is not in the type registry`);let s=ke(o)?{value:et(o)(t,r)}:et(o)(t,r);return s["@type"]=e.typeUrl,
s}function Mi(e){let t=Number(e.seconds),n=e.nanos;if(t>qe||t<ze)throw new Error(`cannot encode message ${e.$typeName} to JSON: value out of range`);if(t>0&&n<0||
t<0&&n>0)throw new Error(`cannot encode message ${e.$typeName} to JSON: nanos sign must match seconds sign`);let r=e.seconds.toString();if(n!==0){let o=Math.abs(
n).toString();o="0".repeat(9-o.length)+o,o.substring(3)==="000000"?o=o.substring(0,3):o.substring(6)==="000"&&(o=o.substring(0,6)),r+="."+o,n<0&&t==0&&(r="-"+r)}
return r+"s"}function Oi(e){return e.paths.map(t=>{if(Ze(K(t))!==t)throw new Error(`cannot encode message ${e.$typeName} to JSON: lowerCamelCase of path name "${t}\
" is irreversible`);return K(t)}).join(",")}function Xo(e){let t={},n=Object.keys(e.fields);for(let r=0;r<n.length;r++){let o=n[r];L(t,o,fn(e.fields[o]))}return t}
function fn(e){switch(e.kind.case){case"nullValue":return null;case"numberValue":if(!Number.isFinite(e.kind.value))throw new Error(`${e.$typeName} cannot be NaN\
 or Infinity`);return e.kind.value;case"boolValue":return e.kind.value;case"stringValue":return e.kind.value;case"structValue":return Xo(e.kind.value);case"list\
Value":return Wo(e.kind.value);default:throw new Error(`${e.$typeName} must have a value`)}}function Wo(e){return e.values.map(fn)}function Gi(e){let t=Number(e.
seconds)*1e3;if(t<je||t>Qe)throw new Error(`cannot encode message ${e.$typeName} to JSON: must be from 0001-01-01T00:00:00Z to 9999-12-31T23:59:59Z inclusive`);
if(e.nanos<0)throw new Error(`cannot encode message ${e.$typeName} to JSON: nanos must not be negative`);if(e.nanos>999999999)throw new Error(`cannot encode mes\
sage ${e.$typeName} to JSON: nanos must not be greater than 999999999`);let n="Z";if(e.nanos>0){let r=(e.nanos+1e9).toString().substring(1);r.substring(3)==="00\
0000"?n="."+r.substring(0,3)+"Z":r.substring(6)==="000"?n="."+r.substring(0,6)+"Z":n="."+r+"Z"}return new Date(t).toISOString().replace(".000Z",n)}var _i=2;function Bi(e){return Object.assign(Object.assign({ignoreUnknownFields:!1,recursionLimit:100},e),{depth:0})}function $o(e,t,n){return Yi(e,zi(t,e.typeName),
n)}function Yi(e,t,n){let r=w(e);return Zi(e,r,t,n),r}function Zi(e,t,n,r){try{ce(e)(t,n,Bi(r))}catch(o){throw Er(o)?new Error(`cannot decode ${o.field()} from JSON: ${o.message}`,{cause:o}):o}}var pn=new WeakMap;function ce(e){let t=pn.get(e);return t===void 0&&(t=Pi(e)),t}function Pi(e){let t=String(e),n=Xi(e);if(n!==void 0){let a=(i,c,u)=>{if(++u.depth>
u.recursionLimit)throw new Error(`cannot decode ${t} from JSON: maximum recursion depth of ${u.recursionLimit} reached`);n(i,c,u),u.depth--};return pn.set(e,a),
a}let r=e.typeName,o=new Map,s=(a,i,c)=>{var u;if(++c.depth>c.recursionLimit)throw new Error(`cannot decode ${t} from JSON: maximum recursion depth of ${c.recursionLimit}\
 reached`);if(i==null||Array.isArray(i)||typeof i!="object")throw new Error(`cannot decode ${t} from JSON: ${R(i)}`);let m=new Map,p=new Set,h=Object.keys(i);for(let d=0;d<
h.length;d++){let f=h[d],b=i[f],E=o.get(f);if(E!==void 0){let N=E.field;if(p.has(N))throw new x(N,"set multiple times");if(p.add(N),E.oneofScalarNullSkip&&b===null)
continue;if(E.oneof){let T=m.get(E.oneof);if(T!==void 0)throw new x(E.oneof,`oneof set multiple times by ${T.name} and ${N.name}`);m.set(E.oneof,N)}E.read(a,b,c)}else{
let N=f.startsWith("[")&&f.endsWith("]")?(u=c.registry)===null||u===void 0?void 0:u.getExtension(f.substring(1,f.length-1)):void 0;if(N?.extendee.typeName==r){let[
T,U,O]=ae(N);Ko(U)(T[V],b,c),Mo(a,N,O())}if(N===void 0&&!c.ignoreUnknownFields)throw new Error(`cannot decode ${t} from JSON: key "${f}" is unknown`)}}c.depth--};
pn.set(e,s);for(let a of e.fields){let i={read:Ko(a),field:a,oneof:a.oneof,oneofScalarNullSkip:a.oneof!==void 0&&a.fieldKind=="scalar"};o.set(a.name,i).set(a.jsonName,
i)}return s}function Xi(e){if(e.typeName.startsWith("google.protobuf."))switch(e.typeName){case"google.protobuf.Any":return(t,n,r)=>ec(t,n,r);case"google.protob\
uf.Timestamp":return(t,n)=>tc(t,n);case"google.protobuf.Duration":return(t,n)=>nc(t,n);case"google.protobuf.FieldMask":return(t,n)=>rc(t,n);case"google.protobuf\
.Struct":return(t,n,r)=>Qo(t,n,r);case"google.protobuf.Value":return(t,n,r)=>En(t,n,r);case"google.protobuf.ListValue":return(t,n,r)=>zo(t,n,r);default:if(G(e)){
let t=e.fields[0],n=t.localName,r=t.scalar,o=t.longAsString,s=Ho(t);return(a,i)=>{i===null?a[n]=F(r,o):a[n]=s(i)}}return}}function Ko(e){switch(e.fieldKind){case"\
scalar":return Wi(e);case"enum":return Ki(e);case"message":return $i(e);case"list":return Ji(e);case"map":return ji(e)}}function Wi(e){let t=Ho(e),n=e.localName;
if(e.oneof){let o=e.oneof.localName;return(s,a)=>{s[o]={case:n,value:t(a)}}}let r=Jo(e);return(o,s)=>{s===null?r(o):o[n]=t(s)}}function Jo(e){let t=e.localName;
if(e.presence!=_i)return o=>{delete o[t]};if(e.fieldKind=="enum"){let o=e.enum.values[0].number;return s=>{s[t]=o}}let n=e.scalar,r=e.longAsString;return o=>{o[t]=
F(n,r)}}function Ki(e){let t=hn(e.enum),n=gn(e.enum),r=e.localName,o=e.enum.typeName!="google.protobuf.NullValue";if(e.oneof){let a=e.oneof.localName;return(i,c,u)=>{
if(c===null&&o){i[a].case===r&&(i[a]={case:void 0});return}let m=t(c,u.ignoreUnknownFields);if(m===ue)return;let p=n(m);if(p!==!0)throw new x(e,B(e,m,p));i[a]={
case:r,value:m}}}let s=Jo(e);return(a,i,c)=>{if(i===null&&o){s(a);return}let u=t(i,c.ignoreUnknownFields);if(u===ue)return;let m=n(u);if(m!==!0)throw new x(e,B(
e,u,m));a[r]=u}}function $i(e){let t=e.localName,{toMessage:n,toLocal:r}=C(e),o=ce(e.message),s=e.message.typeName!="google.protobuf.Value";if(e.oneof){let a=e.
oneof.localName;return(i,c,u)=>{let m=i[a];if(c===null&&s){m.case===t&&(i[a]={case:void 0});return}let p=n(m.case===t?m.value:void 0);o(p,c,u),i[a]={case:t,value:r(
p)}}}return(a,i,c)=>{if(i===null&&s){delete a[t];return}let u=n(a[t]);o(u,i,c),a[t]=r(u)}}function Ji(e){let t=e.localName,n=Hi(e);return(r,o,s)=>{if(o===null)return;
if(!Array.isArray(o))throw new x(e,"expected Array, got "+R(o));let a=r[t];for(let i=0;i<o.length;i++){let c=n(o[i],s,a.length);c!==ue&&a.push(c)}}}function Hi(e){
switch(e.listKind){case"scalar":{let t=bn(e),n=W(e.scalar),r=yn(e);return(o,s,a)=>{if(o===null)throw new x(e,"list item must not be null");let i=t(o),c=n(i);if(c!==
!0)throw new x(e,`list item #${a+1}: ${B(e,i,c)}`);return r(i)}}case"enum":{let t=hn(e.enum),n=gn(e.enum),r=e.enum.typeName!="google.protobuf.NullValue";return(o,s,a)=>{
if(o===null&&r)throw new x(e,"list item must not be null");let i=t(o,s.ignoreUnknownFields);if(i===ue)return i;let c=n(i);if(c!==!0)throw new x(e,`list item #${a+
1}: ${B(e,i,c)}`);return i}}case"message":{let{toMessage:t,toLocal:n}=C(e),r=ce(e.message),o=e.message.typeName!="google.protobuf.Value";return(s,a)=>{if(s===null&&
o)throw new x(e,"list item must not be null");let i=t(void 0);return r(i,s,a),n(i)}}}}function ji(e){let t=e.localName,n=e.mapKey,r=Qi(n),o=W(n),s,a,i=u=>u,c=!0;
switch(e.mapKind){case"scalar":{s=bn(e),a=W(e.scalar),i=yn(e);break}case"enum":{let u=hn(e.enum);s=(m,p)=>u(m,p.ignoreUnknownFields),a=gn(e.enum),c=e.enum.typeName!=
"google.protobuf.NullValue";break}case"message":{let{toMessage:u,toLocal:m}=C(e),p=ce(e.message);c=e.message.typeName!="google.protobuf.Value",s=(h,d)=>{let f=u(
void 0);return p(f,h,d),m(f)};break}}return(u,m,p)=>{if(m===null)return;if(typeof m!="object"||Array.isArray(m))throw new x(e,"expected object, got "+R(m));let h=u[t],
d=new Set,f=Object.keys(m);for(let b=0;b<f.length;b++){let E=f[b],N=m[E],T=r(E);if(d.has(T))throw new x(e,`duplicate map key "${E}"`);if(d.add(T),N===null&&c)throw new x(
e,"map value must not be null");let U=s(N,p);if(U===ue)continue;let O=o(T);if(O!==!0)throw new x(e,`invalid map key: ${B({scalar:n},T,O)}`);if(a!==void 0){let H=a(
U);if(H!==!0)throw new x(e,`map entry ${R(T)}: ${B(e,U,H)}`)}L(h,T,i(U))}}}var ue=Symbol();function hn(e){let t=e.values[0].number,n=new Map;for(let r of e.values)
n.set(r.jsonName,r.number);for(let r of e.values)n.set(r.name,r.number);return(r,o)=>{if(r===null)return t;switch(typeof r){case"number":if(Number.isInteger(r))
return r;break;case"string":{let s=n.get(r);if(s!==void 0)return s;if(o)return ue;break}}throw new Error(`cannot decode ${e} from JSON: ${R(r)}`)}}function gn(e){
if(e.open)return W(l.INT32);let t=e.values;return n=>t.some(r=>r.number===n)}function Ho(e){let t=bn(e),n=W(e.scalar),r=yn(e);return o=>{let s=t(o),a=n(s);if(a!==
!0)throw new x(e,B(e,s,a));return r(s)}}function bn(e){switch(e.scalar){case l.DOUBLE:case l.FLOAT:return t=>{if(t==="NaN")return NaN;if(t==="Infinity")return Number.
POSITIVE_INFINITY;if(t==="-Infinity")return Number.NEGATIVE_INFINITY;if(typeof t=="number"){if(Number.isNaN(t))throw new x(e,"unexpected NaN number");if(!Number.
isFinite(t))throw new x(e,"unexpected infinite number");return t}if(typeof t=="string"){if(t===""||t.trim().length!==t.length)return t;let n=Number(t);return Number.
isFinite(n)?n:t}return t};case l.INT32:case l.FIXED32:case l.SFIXED32:case l.SINT32:case l.UINT32:return jo;case l.BYTES:return t=>{if(typeof t=="string"){if(t===
"")return new Uint8Array(0);try{return re(t)}catch(n){let r=n instanceof Error?n.message:String(n);throw new x(e,r)}}return t};default:return t=>t}}function yn(e){
let t=e.fieldKind!=="map"&&e.longAsString;switch(e.scalar){case l.INT64:case l.SFIXED64:case l.SINT64:return t?n=>String(n):n=>typeof n=="string"||typeof n=="nu\
mber"?v.parse(n):n;case l.FIXED64:case l.UINT64:return t?n=>String(n):n=>typeof n=="string"||typeof n=="number"?v.uParse(n):n;default:return n=>n}}function Qi(e){
switch(e){case l.BOOL:return t=>{switch(t){case"true":return!0;case"false":return!1}return t};case l.INT32:case l.FIXED32:case l.UINT32:case l.SFIXED32:case l.SINT32:
return jo;case l.INT64:case l.SINT64:case l.SFIXED64:case l.UINT64:case l.FIXED64:return t=>/^-?0+$/.test(t)?"0":t.replace(/^(-?)0+(?=\d)/,"$1");default:return t=>t}}
function jo(e){if(typeof e=="string"){if(e===""||e.trim().length!==e.length)return e;let t=Number(e);return Number.isNaN(t)?e:t}return e}function zi(e,t){let n;
try{n=JSON.parse(e)}catch(r){let o=r instanceof Error?r.message:String(r);throw new Error(`cannot decode message ${t} from JSON: ${o}`,{cause:r})}return qi(e,t),
n}function qi(e,t){let n=[],r=!1,o=0;for(;o<e.length;)switch(e[o]){case"{":n.push(new Set),r=!0,o++;break;case"[":n.push(null),r=!1,o++;break;case"}":case"]":n.
pop(),r=!1,o++;break;case",":r=n[n.length-1]!=null,o++;break;case":":r=!1,o++;break;case'"':{let s=o++,a=!1;for(;o<e.length;){if(e[o]=="\\"){a=!0,o+=2;continue}
if(e[o]=='"')break;o++}let i=o++,c=n[n.length-1];if(r&&c){let u=a?JSON.parse(e.substring(s,i+1)):e.substring(s+1,i);if(c.has(u))throw new Error(`cannot decode m\
essage ${t} from JSON: duplicate object key "${u}"`);c.add(u)}r=!1;break}default:o++;break}}function ec(e,t,n){var r;if(t===null||Array.isArray(t)||typeof t!="o\
bject")throw new Error(`cannot decode message ${e.$typeName} from JSON: expected object but got ${R(t)}`);if(Object.keys(t).length==0)return;let o=t["@type"];if(typeof o!=
"string"||o=="")throw new Error(`cannot decode message ${e.$typeName} from JSON: "@type" is empty`);let s=o.includes("/")?o.substring(o.lastIndexOf("/")+1):o;if(!s.
length)throw new Error(`cannot decode message ${e.$typeName} from JSON: "@type" is invalid`);let a=(r=n.registry)===null||r===void 0?void 0:r.getMessage(s);if(!a)
throw new Error(`cannot decode message ${e.$typeName} from JSON: ${o} is not in the type registry`);let i=w(a);if(ke(a)&&Object.prototype.hasOwnProperty.call(t,
"value"))ce(a)(i,t.value,n);else{let c={};for(let u of Object.keys(t))u!=="@type"&&L(c,u,t[u]);ce(a)(i,c,n)}Lo(a,i,e)}function tc(e,t){if(typeof t!="string")throw new Error(
`cannot decode message ${e.$typeName} from JSON: ${R(t)}`);let n=t.match(/^([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?(?:Z|([+-][0-9][0-9]:[0-9][0-9]))$/);
if(!n)throw new Error(`cannot decode message ${e.$typeName} from JSON: invalid RFC 3339 string`);let r=Date.parse(n[1]+"-"+n[2]+"-"+n[3]+"T"+n[4]+":"+n[5]+":"+n[6]+
(n[8]?n[8]:"Z"));if(Number.isNaN(r))throw new Error(`cannot decode message ${e.$typeName} from JSON: invalid RFC 3339 string`);if(r<je||r>Qe)throw new Error(`ca\
nnot decode message ${e.$typeName} from JSON: must be from 0001-01-01T00:00:00Z to 9999-12-31T23:59:59Z inclusive`);e.seconds=v.parse(r/1e3),e.nanos=0,n[7]&&(e.
nanos=parseInt("1"+n[7]+"0".repeat(9-n[7].length))-1e9)}function nc(e,t){if(typeof t!="string")throw new Error(`cannot decode message ${e.$typeName} from JSON: ${R(
t)}`);let n=t.match(/^(-?[0-9]+)(?:\.([0-9]+))?s/);if(n===null)throw new Error(`cannot decode message ${e.$typeName} from JSON: ${R(t)}`);let r=Number(n[1]);if(r>
qe||r<ze)throw new Error(`cannot decode message ${e.$typeName} from JSON: ${R(t)}`);if(e.seconds=v.parse(r),typeof n[2]!="string")return;let o=n[2]+"0".repeat(9-
n[2].length);e.nanos=parseInt(o),(r<0||Object.is(r,-0))&&(e.nanos=-e.nanos)}function rc(e,t){if(typeof t!="string")throw new Error(`cannot decode message ${e.$typeName}\
 from JSON: ${R(t)}`);t!==""&&(e.paths=t.split(",").map(n=>{if(n.includes("_"))throw new Error(`cannot decode message ${e.$typeName} from JSON: path names must \
be lowerCamelCase`);return Ze(n)}))}function Qo(e,t,n){if(typeof t!="object"||t==null||Array.isArray(t))throw new Error(`cannot decode message ${e.$typeName} fr\
om JSON ${R(t)}`);let r=Object.keys(t);for(let o=0;o<r.length;o++){let s=r[o],a=w(cn);En(a,t[s],n),L(e.fields,s,a)}}function En(e,t,n){if(++n.depth>n.recursionLimit)
throw new Error(`cannot decode ${e.$typeName} from JSON: maximum recursion depth of ${n.recursionLimit} reached`);switch(typeof t){case"number":e.kind={case:"nu\
mberValue",value:t};break;case"string":e.kind={case:"stringValue",value:t};break;case"boolean":e.kind={case:"boolValue",value:t};break;case"object":if(t===null)
e.kind={case:"nullValue",value:He.NULL_VALUE};else if(Array.isArray(t)){let r=w(ko);zo(r,t,n),e.kind={case:"listValue",value:r}}else{let r=w(Uo);Qo(r,t,n),e.kind=
{case:"structValue",value:r}}break;default:throw new Error(`cannot decode message ${e.$typeName} from JSON ${R(t)}`)}return n.depth--,e}function zo(e,t,n){if(!Array.
isArray(t))throw new Error(`cannot decode message ${e.$typeName} from JSON ${R(t)}`);for(let r=0;r<t.length;r++){let o=w(cn);En(o,t[r],n),e.values.push(o)}}var y;(function(e){e[e.Canceled=1]="Canceled",e[e.Unknown=2]="Unknown",e[e.InvalidArgument=3]="InvalidArgument",e[e.DeadlineExceeded=4]="DeadlineExceeded",e[e.NotFound=
5]="NotFound",e[e.AlreadyExists=6]="AlreadyExists",e[e.PermissionDenied=7]="PermissionDenied",e[e.ResourceExhausted=8]="ResourceExhausted",e[e.FailedPrecondition=
9]="FailedPrecondition",e[e.Aborted=10]="Aborted",e[e.OutOfRange=11]="OutOfRange",e[e.Unimplemented=12]="Unimplemented",e[e.Internal=13]="Internal",e[e.Unavailable=
14]="Unavailable",e[e.DataLoss=15]="DataLoss",e[e.Unauthenticated=16]="Unauthenticated"})(y||(y={}));function Sn(e){let t=y[e];return typeof t!="string"?e.toString():t[0].toLowerCase()+t.substring(1).replace(/[A-Z]/g,n=>"_"+n.toLowerCase())}var I=class e extends Error{constructor(t,n=y.Unknown,r,o,s){super(oc(t,n)),this.name="ConnectError",this.isWireError=!1,Object.setPrototypeOf(this,new.target.prototype),
this.rawMessage=t,this.code=n,this.metadata=new Headers(r??{}),this.details=o??[],this.cause=s}static from(t,n=y.Unknown){return t instanceof e?t:t instanceof Error?
t.name=="AbortError"||t.name=="TimeoutError"?new e(t.message,y.Canceled):new e(t.message,n,void 0,void 0,t):new e(String(t),n,void 0,void 0,t)}static[Symbol.hasInstance](t){
return t instanceof Error?Object.getPrototypeOf(t)===e.prototype?!0:t.name==="ConnectError"&&"code"in t&&typeof t.code=="number"&&"metadata"in t&&"details"in t&&
Array.isArray(t.details)&&"rawMessage"in t&&typeof t.rawMessage=="string"&&"cause"in t:!1}findDetails(t){let n=t.kind==="message"?{getMessage:o=>o===t.typeName?
t:void 0}:t,r=[];for(let o of this.details){if("desc"in o){n.getMessage(o.desc.typeName)&&r.push(w(o.desc,o.value));continue}let s=n.getMessage(o.type);if(s)try{
r.push(P(s,o.value))}catch{}}return r}};function oc(e,t){return e.length?`[${Sn(t)}] ${e}`:`[${Sn(t)}]`}function qo(e,t,n){try{let r=re(e);return t?P(t,r,n):r}catch(r){throw I.from(r,y.DataLoss)}}function es(e,t){let n={};for(let r of e.methods){let o=t(r);o!=null&&(n[r.localName]=o)}return n}var nt=1;function ts(e,t,n=!1){if(t>e){let r=`message size is larger than configured readMaxBytes ${e}`;throw n&&(r=`message size ${t} is larger than configured readMaxB\
ytes ${e}`),new I(r,y.ResourceExhausted)}}function sc(e){return new Nn(e)}var Nn=class{constructor(t){this.readMaxBytes=t,this.header=new Uint8Array(5),this.headerView=new DataView(this.header.buffer),this.
buf=[]}get byteLength(){return this.buf.reduce((t,n)=>t+n.byteLength,0)}decode(t){this.buf.push(t);let n=[];for(;;){let r=this.pop();if(!r)break;n.push(r)}return n}pop(){
if(!(!this.env&&(this.env=this.head(),!this.env))&&this.cons(this.env.data)){let t=this.env;return this.env=void 0,t}}head(){if(!this.cons(this.header))return;let t=this.
headerView.getUint8(0),n=this.headerView.getUint32(1);return ts(this.readMaxBytes,n,!0),{flags:t,data:new Uint8Array(n)}}cons(t){let n=t.byteLength;if(this.byteLength<
n)return!1;let r=0;for(;r<n;){let o=this.buf.shift();o.byteLength>n-r?(t.set(o.subarray(0,n-r),r),this.buf.unshift(o.subarray(n-r)),r+=n-r):(t.set(o,r),r+=o.byteLength)}
return!0}};function rt(e){let t,n=sc(4294967295);return new ReadableStream({start(){t=e.getReader()},async pull(r){let o=!1;for(;!o;){let s=await t.read();if(s.
done)n.byteLength>0&&r.error(new I("protocol error: incomplete envelope",y.InvalidArgument)),r.close();else for(let a of n.decode(s.value))r.enqueue(a),o=!0}}})}function ot(e,t){let n=new Uint8Array(t.length+5);n.set(t,5);let r=new DataView(n.buffer,n.byteOffset,n.byteLength);return r.setUint8(0,e),r.setUint32(1,t.length),
n}var ac=function(e){if(!Symbol.asyncIterator)throw new TypeError("Symbol.asyncIterator is not defined.");var t=e[Symbol.asyncIterator],n;return t?t.call(e):(e=typeof __values==
"function"?__values(e):e[Symbol.iterator](),n={},r("next"),r("throw"),r("return"),n[Symbol.asyncIterator]=function(){return this},n);function r(s){n[s]=e[s]&&function(a){
return new Promise(function(i,c){a=e[s](a),o(i,c,a.done,a.value)})}}function o(s,a,i,c){Promise.resolve(c).then(function(u){s({value:u,done:i})},a)}},we=function(e){
return this instanceof we?(this.v=e,this):new we(e)},ic=function(e,t,n){if(!Symbol.asyncIterator)throw new TypeError("Symbol.asyncIterator is not defined.");var r=n.
apply(e,t||[]),o,s=[];return o=Object.create((typeof AsyncIterator=="function"?AsyncIterator:Object).prototype),i("next"),i("throw"),i("return",a),o[Symbol.asyncIterator]=
function(){return this},o;function a(d){return function(f){return Promise.resolve(f).then(d,p)}}function i(d,f){r[d]&&(o[d]=function(b){return new Promise(function(E,N){
s.push([d,b,E,N])>1||c(d,b)})},f&&(o[d]=f(o[d])))}function c(d,f){try{u(r[d](f))}catch(b){h(s[0][3],b)}}function u(d){d.value instanceof we?Promise.resolve(d.value.
v).then(m,p):h(s[0][2],d)}function m(d){c("next",d)}function p(d){c("throw",d)}function h(d,f){d(f),s.shift(),s.length&&c(s[0][0],s[0][1])}},cc=function(e){var t,
n;return t={},r("next"),r("throw",function(o){throw o}),r("return"),t[Symbol.iterator]=function(){return this},t;function r(o,s){t[o]=e[o]?function(a){return(n=
!n)?{value:we(e[o](a)),done:!1}:s?s(a):a}:s}};function ns(e){return ic(this,arguments,function*(){yield we(yield*cc(ac(e)))})}var rs=function(e){if(!Symbol.asyncIterator)throw new TypeError("Symbol.asyncIterator is not defined.");var t=e[Symbol.asyncIterator],n;return t?t.call(e):(e=typeof __values==
"function"?__values(e):e[Symbol.iterator](),n={},r("next"),r("throw"),r("return"),n[Symbol.asyncIterator]=function(){return this},n);function r(s){n[s]=e[s]&&function(a){
return new Promise(function(i,c){a=e[s](a),o(i,c,a.done,a.value)})}}function o(s,a,i,c){Promise.resolve(c).then(function(u){s({value:u,done:i})},a)}},le=function(e){
return this instanceof le?(this.v=e,this):new le(e)},uc=function(e){var t,n;return t={},r("next"),r("throw",function(o){throw o}),r("return"),t[Symbol.iterator]=
function(){return this},t;function r(o,s){t[o]=e[o]?function(a){return(n=!n)?{value:le(e[o](a)),done:!1}:s?s(a):a}:s}},lc=function(e,t,n){if(!Symbol.asyncIterator)
throw new TypeError("Symbol.asyncIterator is not defined.");var r=n.apply(e,t||[]),o,s=[];return o=Object.create((typeof AsyncIterator=="function"?AsyncIterator:
Object).prototype),i("next"),i("throw"),i("return",a),o[Symbol.asyncIterator]=function(){return this},o;function a(d){return function(f){return Promise.resolve(
f).then(d,p)}}function i(d,f){r[d]&&(o[d]=function(b){return new Promise(function(E,N){s.push([d,b,E,N])>1||c(d,b)})},f&&(o[d]=f(o[d])))}function c(d,f){try{u(r[d](
f))}catch(b){h(s[0][3],b)}}function u(d){d.value instanceof le?Promise.resolve(d.value.v).then(m,p):h(s[0][2],d)}function m(d){c("next",d)}function p(d){c("thro\
w",d)}function h(d,f){d(f),s.shift(),s.length&&c(s[0][0],s[0][1])}};function In(e,t){return es(e,n=>{switch(n.methodKind){case"unary":return mc(t,n);case"server\
_streaming":return dc(t,n);case"client_streaming":return fc(t,n);case"bidi_streaming":return pc(t,n);default:return null}})}function mc(e,t){return async(n,r)=>{
var o,s;let a=await e.unary(t,r?.signal,r?.timeoutMs,r?.headers,n,r?.contextValues);return(o=r?.onHeader)===null||o===void 0||o.call(r,a.header),(s=r?.onTrailer)===
null||s===void 0||s.call(r,a.trailer),a.message}}function dc(e,t){return(n,r)=>os(e.stream(t,r?.signal,r?.timeoutMs,r?.headers,ns([n]),r?.contextValues),r)}function fc(e,t){
return async(n,r)=>{var o,s,a,i,c,u;let m=await e.stream(t,r?.signal,r?.timeoutMs,r?.headers,n,r?.contextValues);(c=r?.onHeader)===null||c===void 0||c.call(r,m.
header);let p,h=0;try{for(var d=!0,f=rs(m.message),b;b=await f.next(),o=b.done,!o;d=!0)i=b.value,d=!1,p=i,h++}catch(E){s={error:E}}finally{try{!d&&!o&&(a=f.return)&&
await a.call(f)}finally{if(s)throw s.error}}if(!p)throw new I("protocol error: missing response message",y.Unimplemented);if(h>1)throw new I("protocol error: re\
ceived extra messages for client streaming method",y.Unimplemented);return(u=r?.onTrailer)===null||u===void 0||u.call(r,m.trailer),p}}function pc(e,t){return(n,r)=>os(
e.stream(t,r?.signal,r?.timeoutMs,r?.headers,n,r?.contextValues),r)}function os(e,t){let n=(function(){return lc(this,arguments,function*(){var r,o;let s=yield le(
e);(r=t?.onHeader)===null||r===void 0||r.call(t,s.header),yield le(yield*uc(rs(s.message))),(o=t?.onTrailer)===null||o===void 0||o.call(t,s.trailer)})})()[Symbol.
asyncIterator]();return{[Symbol.asyncIterator]:()=>({next:()=>n.next()})}}function ss(...e){let t=new AbortController,n=e.filter(o=>o!==void 0).concat(t.signal);for(let o of n){if(o.aborted){r.apply(o);break}o.addEventListener("abort",
r)}function r(){t.signal.aborted||t.abort(st(this));for(let o of n)o.removeEventListener("abort",r)}return t}function as(e){let t=new AbortController,n=()=>{t.abort(
new I("the operation timed out",y.DeadlineExceeded))},r;return e!==void 0&&(e<=0?n():r=setTimeout(n,e)),{signal:t.signal,cleanup:()=>clearTimeout(r)}}function st(e){
if(!e.aborted)return;if(e.reason!==void 0)return e.reason;let t=new Error("This operation was aborted");return t.name="AbortError",t}function at(){return{get(e){return e.id in this?this[e.id]:e.defaultValue},set(e,t){return this[e.id]=t,this},delete(e){return delete this[e.id],this}}}function it(e){let t=new Headers,n=new TextDecoder().decode(e).split(`\r
`);for(let r of n){if(r==="")continue;let o=r.indexOf(":");if(o>0){let s=r.substring(0,o).trim(),a=r.substring(o+1).trim();t.append(s,a)}}return t}var vn="Content-Type";var xn="Grpc-Timeout",X="Grpc-Status",Te="Grpc-Message";var An="Grpc-Status-Details-Bin";var ct="User-Agent";var wn="X-User-Agent",cs="X-Grpc-Web";var us="application/grpc-web+proto",ls="application/grpc-web+json";function ms(e,t,...n){if(n.length>0)throw new Error;return e.services[t]}var gc=M("CgxzdGF0dXMucHJvdG8SCmdvb2dsZS5ycGMiTgoGU3RhdHVzEgwKBGNvZGUYASABKAUSDwoHbWVzc2FnZRgCIAEoCRIlCgdkZXRhaWxzGAMgAygLMhQuZ29vZ2xlLnByb3RvYnVmLkFueUJeCg5jb2\
0uZ29vZ2xlLnJwY0ILU3RhdHVzUHJvdG9QAVo3Z29vZ2xlLmdvbGFuZy5vcmcvZ2VucHJvdG8vZ29vZ2xlYXBpcy9ycGMvc3RhdHVzO3N0YXR1c6ICA1JQQ2IGcHJvdG8z",[sn]),ds=k(gc,0);var fs="0";function ut(e){var t;let n=e.get(An);if(n!=null){let o=qo(n,ds);if(o.code==0)return;let s=new I(o.message,o.code,e);return s.details=o.details.map(a=>({type:a.typeUrl.
substring(a.typeUrl.lastIndexOf("/")+1),value:a.value})),s.isWireError=!0,s}let r=e.get(X);if(r!=null){if(r===fs)return;let o=parseInt(r,10),s;return o in y?s=new I(
decodeURIComponent((t=e.get(Te))!==null&&t!==void 0?t:""),o,e):s=new I(`invalid grpc-status: ${r}`,y.Internal,e),s.isWireError=!0,s}}function lt(e,t){return e.toString().replace(/\/?$/,`/${t.parent.typeName}/${t.name}`)}function Tn(e,t){return w(e,t)}function ps(e,t){function n(r){return r.done===!0?r:{done:r.done,value:Tn(e,r.value)}}return{[Symbol.asyncIterator](){let r=t[Symbol.
asyncIterator](),o={next:()=>r.next().then(n)};return r.throw!==void 0&&(o.throw=s=>r.throw(s).then(n)),r.return!==void 0&&(o.return=s=>r.return(s).then(n)),o}}}function Rn(e,t){if(!t)return e;for(let n of t.concat().reverse())e=n(e);return e}function bs(e){var t;let n=Object.assign({},e);return(t=n.ignoreUnknownFields)!==null&&t!==void 0||(n.ignoreUnknownFields=!0),n}function mt(e,t,n,r){let o=t?hs(e.input,r):gs(e.input,n);return{parse:(t?hs(e.output,r):gs(e.output,n)).parse,serialize:o.serialize}}function hs(e,t){return{parse(n){try{return P(e,n,t)}catch(r){let o=r instanceof Error?r.message:String(r);throw new I(`parse binary: ${o}`,y.Internal)}},serialize(n){
try{return se(e,n,t)}catch(r){let o=r instanceof Error?r.message:String(r);throw new I(`serialize binary: ${o}`,y.Internal)}}}}function gs(e,t){var n,r;let o=(n=
t?.textEncoder)!==null&&n!==void 0?n:new TextEncoder,s=(r=t?.textDecoder)!==null&&r!==void 0?r:new TextDecoder,a=bs(t);return{parse(i){try{let c=s.decode(i);return $o(
e,c,a)}catch(c){throw I.from(c,y.InvalidArgument)}},serialize(i){try{let c=Bo(e,i,a);return o.encode(c)}catch(c){throw I.from(c,y.Internal)}}}}function Vn(e){let t=Rn(e.next,e.interceptors),[n,r,o]=ys(e),s=Object.assign(Object.assign({},e.req),{message:Tn(e.req.method.input,e.req.message),signal:n});return t(
s).then(a=>(o(),a),r)}function Ln(e){let t=Rn(e.next,e.interceptors),[n,r,o]=ys(e),s=Object.assign(Object.assign({},e.req),{message:ps(e.req.method.input,e.req.
message),signal:n}),a=!1;return n.addEventListener("abort",function(){var i,c;let u=e.req.message[Symbol.asyncIterator]();a||(i=u.throw)===null||i===void 0||i.call(
u,this.reason).catch(()=>{}),(c=u.return)===null||c===void 0||c.call(u).catch(()=>{})}),t(s).then(i=>Object.assign(Object.assign({},i),{message:{[Symbol.asyncIterator](){
let c=i.message[Symbol.asyncIterator]();return{next(){return!a&&n.aborted?r(st(n)):c.next().then(u=>(u.done==!0&&(a=!0,o()),u),r)}}}}}),r)}function ys(e){let{signal:t,
cleanup:n}=as(e.timeoutMs),r=ss(e.signal,t);return[r.signal,function(s){let a=r.signal.aborted?I.from(st(r.signal),y.Canceled):I.from(s);return r.abort(a),n(),Promise.
reject(a)},function(){n(),r.abort()}]}function Es(){try{new Headers}catch{throw new Error("connect-web requires the fetch API. Are you running on an old version of Node.js? Node.js is not supported \
in Connect for Web - please stay tuned for Connect for Node.")}}function Re(e,t){let n=ut(e);if(n)throw t.forEach((r,o)=>{n.metadata.append(o,r)}),n;if(!t.has(X)&&!e.has(X))throw new I("protocol error: missing status",y.Internal)}function dt(e,t,n,r){var o,s;let a=new Headers(n??{});a.set(vn,e?us:ls),a.set(cs,"1");let i=(s=(o=a.get(ct))!==null&&o!==void 0?o:a.get(wn))!==null&&s!==void 0?
s:"connect-es/2.2.0";return a.set(wn,i),r&&a.set(ct,i),t!==void 0&&a.set(xn,`${t}m`),a}function Ss(e){switch(e){case 400:return y.Internal;case 401:return y.Unauthenticated;case 403:return y.PermissionDenied;case 404:return y.Unimplemented;case 429:
return y.Unavailable;case 502:return y.Unavailable;case 503:return y.Unavailable;case 504:return y.Unavailable;default:return y.Unknown}}function ft(e,t){var n;if(e>=200&&e<300)return{foundStatus:t.has(X),headerError:ut(t)};throw new I(decodeURIComponent((n=t.get(Te))!==null&&n!==void 0?n:`HTTP ${e}`),
Ss(e),t)}var q=function(e){return this instanceof q?(this.v=e,this):new q(e)},bc=function(e,t,n){if(!Symbol.asyncIterator)throw new TypeError("Symbol.asyncIterator is no\
t defined.");var r=n.apply(e,t||[]),o,s=[];return o=Object.create((typeof AsyncIterator=="function"?AsyncIterator:Object).prototype),i("next"),i("throw"),i("ret\
urn",a),o[Symbol.asyncIterator]=function(){return this},o;function a(d){return function(f){return Promise.resolve(f).then(d,p)}}function i(d,f){r[d]&&(o[d]=function(b){
return new Promise(function(E,N){s.push([d,b,E,N])>1||c(d,b)})},f&&(o[d]=f(o[d])))}function c(d,f){try{u(r[d](f))}catch(b){h(s[0][3],b)}}function u(d){d.value instanceof
q?Promise.resolve(d.value.v).then(m,p):h(s[0][2],d)}function m(d){c("next",d)}function p(d){c("throw",d)}function h(d,f){d(f),s.shift(),s.length&&c(s[0][0],s[0][1])}},
Ns={redirect:"error"};function Fn(e){var t;Es();let n=(t=e.useBinaryFormat)!==null&&t!==void 0?t:!0;return{async unary(r,o,s,a,i,c){let{serialize:u,parse:m}=mt(
r,n,e.jsonOptions,e.binaryOptions);return s=s===void 0?e.defaultTimeoutMs:s<=0?void 0:s,await Vn({interceptors:e.interceptors,signal:o,timeoutMs:s,req:{stream:!1,
service:r.parent,method:r,requestMethod:"POST",url:lt(e.baseUrl,r),header:dt(n,s,a,!1),contextValues:c??at(),message:i},next:async p=>{var h;let f=await((h=e.fetch)!==
null&&h!==void 0?h:globalThis.fetch)(p.url,Object.assign(Object.assign({},Ns),{method:p.requestMethod,headers:p.header,signal:p.signal,body:ot(0,u(p.message))})),
{headerError:b}=ft(f.status,f.headers);if(!f.body)throw b!==void 0?b:"missing response body";let E=rt(f.body).getReader(),N,T;for(;;){let U=await E.read();if(U.
done)break;let{flags:O,data:H}=U.value;if((O&nt)===nt)throw new I("protocol error: received unsupported compressed output",y.Internal);if(O===128){if(N!==void 0)
throw"extra trailer";N=it(H);continue}if(T!==void 0)throw new I("extra message",y.Unimplemented);T=m(H)}if(N===void 0)throw b!==void 0?b:new I("missing trailer",
f.headers.has(X)?y.Unimplemented:y.Unknown);if(Re(N,f.headers),T===void 0)throw new I("missing message",N.has(X)?y.Unimplemented:y.Unknown);return{stream:!1,service:r.
parent,method:r,header:f.headers,message:T,trailer:N}}})},async stream(r,o,s,a,i,c){let{serialize:u,parse:m}=mt(r,n,e.jsonOptions,e.binaryOptions);function p(d,f,b,E,N){
return bc(this,arguments,function*(){let U=rt(d).getReader();if(f){if(!(yield q(U.read())).done)throw"extra data for trailers-only";return yield q(void 0)}let O=!1;
for(;;){let H=yield q(U.read());if(H.done)break;let{flags:Js,data:$n}=H.value;if((Js&128)===128){if(O)throw"extra trailer";O=!0;let Jn=it($n);Re(Jn,E),Jn.forEach(
(Hs,js)=>b.set(js,Hs));continue}if(O)throw"extra message";yield yield q(m($n))}if("throwIfAborted"in N&&N.throwIfAborted(),!O)throw"missing trailer"})}async function h(d){
if(r.methodKind!="server_streaming")throw"The fetch API does not support streaming request bodies";let f=await d[Symbol.asyncIterator]().next();if(f.done==!0)throw"\
missing request message";return ot(0,u(f.value))}return s=s===void 0?e.defaultTimeoutMs:s<=0?void 0:s,Ln({interceptors:e.interceptors,signal:o,timeoutMs:s,req:{
stream:!0,service:r.parent,method:r,requestMethod:"POST",url:lt(e.baseUrl,r),header:dt(n,s,a,!1),contextValues:c??at(),message:i},next:async d=>{var f;let E=await((f=
e.fetch)!==null&&f!==void 0?f:globalThis.fetch)(d.url,Object.assign(Object.assign({},Ns),{method:d.requestMethod,headers:d.header,signal:d.signal,body:await h(d.
message)})),{foundStatus:N,headerError:T}=ft(E.status,E.headers);if(T!=null)throw T;if(!E.body)throw"missing response body";let U=new Headers;return Object.assign(
Object.assign({},d),{header:E.headers,trailer:U,message:p(E.body,N,U,E.headers,d.signal)})}})}}}var D=class e extends Error{name="TesseraError";code;reason;metadata;violations;retryAfterMs;constructor(t,n,r={},o){super(t,{cause:o}),this.code=n,this.reason=
r.reason??"",this.metadata=r.metadata??{},this.violations=r.violations??[],this.retryAfterMs=r.retryAfterMs}static from(t,n){if(t instanceof e)return t;let r=I.
from(t),o=Ec(r,n)?y.Unavailable:r.code;return new e(r.rawMessage.trim(),Is(o),Sc(r),t)}static ofDocument(t){let{retryAfter:n,fields:r,reason:o}=t,s=r.map(i=>({field:i,
description:""})),a=n&&Number(n.seconds)*1e3+n.nanos/1e6;return new e(t.message,Is(t.code),{reason:o,violations:s,retryAfterMs:a})}},J=class extends D{name="Inc\
ompleteStreamError";constructor(){super("the stream ended without `completed`","DATA_LOSS")}},yc=/^(ERR_SSL_|ERR_TLS_|CERT_|CRL_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|INVALID_(CA|PURPOSE)|HOSTNAME_)/;
function Ec(e,t){let n=e.cause?.code;return e.code===y.Internal?typeof n=="string"&&yc.test(n):e.code===y.Canceled&&!t?.aborted&&e.rawMessage.startsWith("http/2\
 stream closed")}function Is(e){let t=y[e]??"Unknown";return e===y.Canceled?"CANCELLED":t.replace(/(?<=.)([A-Z])/g,"_$1").toUpperCase()}function Sc(e){let t={reason:"",
metadata:{},violations:[],retryAfterMs:void 0};for(let n of e.details){if(!("type"in n)||!(n.value instanceof Uint8Array))continue;let r=Nc[n.type];r?.(n.value,
t)}return t}var Nc={"google.rpc.ErrorInfo":(e,t)=>{me(e,{1:n=>t.reason=n.string(),3:n=>{let r="",o="";me(n.bytes(),{1:s=>r=s.string(),2:s=>o=s.string()}),t.metadata[r]=
o}})},"google.rpc.BadRequest":(e,t)=>{me(e,{1:n=>{let r={field:"",description:""};me(n.bytes(),{1:o=>r.field=o.string(),2:o=>r.description=o.string()}),t.violations.
push(r)}})},"google.rpc.RetryInfo":(e,t)=>{me(e,{1:n=>{let r=0;me(n.bytes(),{1:o=>r+=Number(o.int64())*1e3,2:o=>r+=o.int32()/1e6}),t.retryAfterMs=r}})}};function me(e,t){
let n=new _(e);for(;n.pos<n.len;){let[r,o]=n.tag(),s=t[r];s?s(n):n.skip(o)}}function ht(e){if(e.event.case!==void 0)return{...e.event,sequence:Number(e.sequence)}}var gt=M("Chd0ZXNzZXJhL3YxL3NjaGVtYS5wcm90bxIKdGVzc2VyYS52MSLYAQoQRXh0cmFjdGlvblNjaGVtYRIxCg1kb2N1bWVudF90eXBlGAEgASgOMhgudGVzc2VyYS52MS5Eb2N1bWVudFR5cGVIABIrCg\
pmaWVsZF9saXN0GAIgASgLMhUudGVzc2VyYS52MS5GaWVsZExpc3RIABIVCgtqc29uX3NjaGVtYRgDIAEoCUgAEhQKDGluc3RydWN0aW9ucxgEIAEoCRItCgxhbnN3ZXJfc3R5bGUYBSABKA4yFy50ZXNzZXJhLn\
YxLkFuc3dlclN0eWxlQggKBnNvdXJjZSIyCglGaWVsZExpc3QSJQoGZmllbGRzGAEgAygLMhUudGVzc2VyYS52MS5GaWVsZFNwZWMi2QEKCUZpZWxkU3BlYxIMCgRuYW1lGAEgASgJEiMKBHR5cGUYAiABKA4yFS\
50ZXNzZXJhLnYxLkZpZWxkVHlwZRITCgtkZXNjcmlwdGlvbhgDIAEoCRIQCghyZXF1aXJlZBgEIAEoCBIMCgRsaXN0GAUgASgIEhYKDmFsbG93ZWRfdmFsdWVzGAYgAygJEiUKBmZpZWxkcxgHIAMoCzIVLnRlc3\
NlcmEudjEuRmllbGRTcGVjEhIKCm1heF9sZW5ndGgYCCABKA0SEQoJbWF4X2l0ZW1zGAkgASgNKl4KC0Fuc3dlclN0eWxlEhwKGEFOU1dFUl9TVFlMRV9VTlNQRUNJRklFRBAAEhUKEUFOU1dFUl9TVFlMRV9KU0\
9OEAESGgoWQU5TV0VSX1NUWUxFX0tFWV9WQUxVRRACKp0BCgxEb2N1bWVudFR5cGUSHQoZRE9DVU1FTlRfVFlQRV9VTlNQRUNJRklFRBAAEhkKFURPQ1VNRU5UX1RZUEVfUkVDRUlQVBABEhkKFURPQ1VNRU5UX1\
RZUEVfSU5WT0lDRRACEiAKHERPQ1VNRU5UX1RZUEVfQkFOS19TVEFURU1FTlQQAxIWChJET0NVTUVOVF9UWVBFX0FVVE8QBCrdAQoJRmllbGRUeXBlEhoKFkZJRUxEX1RZUEVfVU5TUEVDSUZJRUQQABIVChFGSU\
VMRF9UWVBFX1NUUklORxABEhYKEkZJRUxEX1RZUEVfSU5URUdFUhACEhYKEkZJRUxEX1RZUEVfREVDSU1BTBADEhYKEkZJRUxEX1RZUEVfQk9PTEVBThAEEhMKD0ZJRUxEX1RZUEVfREFURRAFEhUKEUZJRUxEX1\
RZUEVfT0JKRUNUEAYSFAoQRklFTERfVFlQRV9NT05FWRAHEhMKD0ZJRUxEX1RZUEVfRU5VTRAIYgZwcm90bzM");var j=(s=>(s[s.UNSPECIFIED=0]="UNSPECIFIED",s[s.RECEIPT=1]="RECEIPT",s[s.INVOICE=2]="INVOICE",s[s.BANK_STATEMENT=3]="BANK_STATEMENT",s[s.AUTO=4]="AUTO",s))(j||{});var xs=M("Cht0ZXNzZXJhL3YxL21vZGVsX2luZm8ucHJvdG8SCnRlc3NlcmEudjEi2AQKC01vZGVsU3RhdHVzEg0KBW1vZGVsGAEgASgJEhAKCHJldmlzaW9uGAIgASgJEhYKDnNlcnZlcl92ZXJzaW9uGAMgAS\
gJEicKBXN0YXRlGAQgASgOMhgudGVzc2VyYS52MS5TZXJ2aW5nU3RhdGUSFQoNc3RhdGVfbWVzc2FnZRgFIAEoCRIvCgpwbGFjZW1lbnRzGAYgAygLMhsudGVzc2VyYS52MS5Nb2R1bGVQbGFjZW1lbnQSKQoOa3\
ZfY2FjaGVfZHR5cGUYByABKA4yES50ZXNzZXJhLnYxLkR0eXBlEiMKB2RldmljZXMYCCADKAsyEi50ZXNzZXJhLnYxLkRldmljZRIiCgZsaW1pdHMYCSABKAsyEi50ZXNzZXJhLnYxLkxpbWl0cxIuCgxjYXBhYm\
lsaXRpZXMYCiABKAsyGC50ZXNzZXJhLnYxLkNhcGFiaWxpdGllcxIeCgRsb2FkGAsgASgLMhAudGVzc2VyYS52MS5Mb2FkEi0KDGR0eXBlX3BvbGljeRgMIAEoCzIXLnRlc3NlcmEudjEuRHR5cGVQb2xpY3kSJQ\
oFbGlua3MYDSADKAsyFi50ZXNzZXJhLnYxLkRldmljZUxpbmsSLgoMdmVyaWZpY2F0aW9uGA4gASgLMhgudGVzc2VyYS52MS5WZXJpZmljYXRpb24SGgoSa3ZfY2FwYWNpdHlfdG9rZW5zGA8gASgEEicKBnJlbG\
9hZBgQIAEoCzIXLnRlc3NlcmEudjEuTW9kZWxSZWxvYWQSEAoIcmVwbGljYXMYESABKA0iVgoLTW9kZWxSZWxvYWQSDgoGbnVtYmVyGAEgASgNEiYKBXN0YXRlGAIgASgOMhcudGVzc2VyYS52MS5SZWxvYWRTdG\
F0ZRIPCgdtZXNzYWdlGAMgASgJItkCCg9Nb2R1bGVQbGFjZW1lbnQSDgoGbW9kdWxlGAEgASgJEhEKCWRldmljZV9pZBgCIAEoCRIqCg9yZXF1ZXN0ZWRfZHR5cGUYAyABKA4yES50ZXNzZXJhLnYxLkR0eXBlEi\
cKDHdlaWdodF9kdHlwZRgEIAEoDjIRLnRlc3NlcmEudjEuRHR5cGUSKAoNY29tcHV0ZV9kdHlwZRgFIAEoDjIRLnRlc3NlcmEudjEuRHR5cGUSFAoMZHR5cGVfcmVhc29uGAYgASgJEhQKDHdlaWdodF9ieXRlcx\
gHIAEoBBIrChBhY2N1bXVsYXRlX2R0eXBlGAggASgOMhEudGVzc2VyYS52MS5EdHlwZRIpCg5yZXNpZHVhbF9kdHlwZRgJIAEoDjIRLnRlc3NlcmEudjEuRHR5cGUSDwoHdGVuc29ycxgKIAEoDRIPCgdyZXBsaW\
NhGAsgASgNIpUBCgtEdHlwZVBvbGljeRIkCglyZXF1ZXN0ZWQYASABKA4yES50ZXNzZXJhLnYxLkR0eXBlEiQKBG1vZGUYAiABKA4yFi50ZXNzZXJhLnYxLlBvbGljeU1vZGUSEQoJb3ZlcnJpZGVzGAMgAygJEi\
cKDHF1YW50aXphdGlvbhgEIAEoDjIRLnRlc3NlcmEudjEuRHR5cGUimgEKCkRldmljZUxpbmsSFgoOZnJvbV9kZXZpY2VfaWQYASABKAkSFAoMdG9fZGV2aWNlX2lkGAIgASgJEiQKBXJvdXRlGAMgASgOMhUudG\
Vzc2VyYS52MS5MaW5rUm91dGUSDgoGcmVhc29uGAQgASgJEg4KBmNoZWNrcxgFIAEoDRIYChBieXRlc19wZXJfc2Vjb25kGAYgASgBIl8KDFZlcmlmaWNhdGlvbhIPCgd0ZW5zb3JzGAEgASgNEhgKEHRlbnNvcn\
NfY29tcGFyZWQYAiABKA0SJAoFcHJvYmUYAyADKAsyFS50ZXNzZXJhLnYxLlNpdGVSYW5nZSJcCglTaXRlUmFuZ2USDgoGbW9kdWxlGAEgASgJEgwKBHNpdGUYAiABKAkSIAoFZHR5cGUYAyABKA4yES50ZXNzZX\
JhLnYxLkR0eXBlEg8KB21heF9hYnMYBCABKAIilQEKBkRldmljZRIKCgJpZBgBIAEoCRIMCgRuYW1lGAIgASgJEhoKEmNvbXB1dGVfY2FwYWJpbGl0eRgDIAEoCRITCgt0b3RhbF9ieXRlcxgEIAEoBBISCgpmcm\
VlX2J5dGVzGAUgASgEEhQKDHdlaWdodF9ieXRlcxgGIAEoBBIWCg5rdl9jYWNoZV9ieXRlcxgHIAEoBCKtAgoGTGltaXRzEhkKEW1heF9yZXF1ZXN0X2J5dGVzGAEgASgEEhEKCW1heF9wYWdlcxgCIAEoDRIXCg\
9tYXhfcGFnZV9waXhlbHMYAyABKAQSGgoSbWF4X3RpbGVzX3Blcl9wYWdlGAQgASgNEhgKEG1heF9pbnB1dF90b2tlbnMYBSABKA0SGQoRbWF4X291dHB1dF90b2tlbnMYBiABKA0SHAoUbWF4X3J1bm5pbmdfcm\
VxdWVzdHMYCCABKA0SGwoTbWF4X3F1ZXVlZF9yZXF1ZXN0cxgJIAEoDRIYChBtYXhfc2NoZW1hX2J5dGVzGAcgASgNEhsKE21heF9iYXRjaF9pbl9mbGlnaHQYCiABKA0SGQoRbWF4X3F1ZXVlZF90b2tlbnMYCy\
ABKAQi+wEKDENhcGFiaWxpdGllcxITCgttZWRpYV90eXBlcxgBIAMoCRIzChBidWlsdF9pbl9zY2hlbWFzGAIgAygLMhkudGVzc2VyYS52MS5CdWlsdEluU2NoZW1hEjcKEWNvbmZpZGVuY2VfbWV0aG9kGAMgAS\
gOMhwudGVzc2VyYS52MS5Db25maWRlbmNlTWV0aG9kEhwKFGpzb25fc2NoZW1hX2tleXdvcmRzGAQgAygJEhwKFGNvbnN0cmFpbmVkX2RlY29kaW5nGAUgASgIEiwKC2NhbGlicmF0aW9uGAYgASgLMhcudGVzc2\
VyYS52MS5DYWxpYnJhdGlvbiJaCgtDYWxpYnJhdGlvbhIRCglkb2N1bWVudHMYASABKA0SDQoFa2luZHMYAiADKAkSKQoGY2hlY2tzGAMgAygLMhkudGVzc2VyYS52MS5DaGVja0V2aWRlbmNlIj0KDUNoZWNrRX\
ZpZGVuY2USDAoEcnVsZRgBIAEoCRIOCgZwYXNzZWQYAiABKAESDgoGZmFpbGVkGAMgASgBImUKDUJ1aWx0SW5TY2hlbWESLwoNZG9jdW1lbnRfdHlwZRgBIAEoDjIYLnRlc3NlcmEudjEuRG9jdW1lbnRUeXBlEg\
4KBmZpZWxkcxgCIAMoCRITCgtqc29uX3NjaGVtYRgDIAEoCSJuCgRMb2FkEhgKEHJ1bm5pbmdfcmVxdWVzdHMYASABKA0SFwoPcXVldWVkX3JlcXVlc3RzGAIgASgNEhwKFGt2X2NhY2hlX3V0aWxpemF0aW9uGA\
MgASgBEhUKDXF1ZXVlZF90b2tlbnMYBCABKAQqkAEKC1JlbG9hZFN0YXRlEhwKGFJFTE9BRF9TVEFURV9VTlNQRUNJRklFRBAAEhgKFFJFTE9BRF9TVEFURV9MT0FESU5HEAESGQoVUkVMT0FEX1NUQVRFX0RSQU\
lOSU5HEAISFQoRUkVMT0FEX1NUQVRFX0RPTkUQAxIXChNSRUxPQURfU1RBVEVfRkFJTEVEEAQqswEKDFNlcnZpbmdTdGF0ZRIdChlTRVJWSU5HX1NUQVRFX1VOU1BFQ0lGSUVEEAASGQoVU0VSVklOR19TVEFURV\
9MT0FESU5HEAESFwoTU0VSVklOR19TVEFURV9SRUFEWRACEhoKFlNFUlZJTkdfU1RBVEVfRFJBSU5JTkcQAxIYChRTRVJWSU5HX1NUQVRFX0ZBSUxFRBAEEhoKFlNFUlZJTkdfU1RBVEVfUE9JU09ORUQQBSpbCg\
pQb2xpY3lNb2RlEhsKF1BPTElDWV9NT0RFX1VOU1BFQ0lGSUVEEAASGAoUUE9MSUNZX01PREVfRkFMTEJBQ0sQARIWChJQT0xJQ1lfTU9ERV9TVFJJQ1QQAipoCglMaW5rUm91dGUSGgoWTElOS19ST1VURV9VTl\
NQRUNJRklFRBAAEhMKD0xJTktfUk9VVEVfSE9TVBABEhMKD0xJTktfUk9VVEVfUEVFUhACEhUKEUxJTktfUk9VVEVfU1RBR0VEEAMqWgoFRHR5cGUSFQoRRFRZUEVfVU5TUEVDSUZJRUQQABINCglEVFlQRV9GMz\
IQARIOCgpEVFlQRV9CRjE2EAISDQoJRFRZUEVfRjE2EAMSDAoIRFRZUEVfUTgQBCqAAQoQQ29uZmlkZW5jZU1ldGhvZBIhCh1DT05GSURFTkNFX01FVEhPRF9VTlNQRUNJRklFRBAAEicKI0NPTkZJREVOQ0VfTU\
VUSE9EX1RPS0VOX1BST0JBQklMSVRZEAESIAocQ09ORklERU5DRV9NRVRIT0RfQ0FMSUJSQVRFRBACYgZwcm90bzM",[gt]);var bt=(a=>(a[a.UNSPECIFIED=0]="UNSPECIFIED",a[a.LOADING=1]="LOADING",a[a.READY=2]="READY",a[a.DRAINING=3]="DRAINING",a[a.FAILED=4]="FAILED",a[a.POISONED=5]="PO\
ISONED",a))(bt||{});var Dn=(o=>(o[o.UNSPECIFIED=0]="UNSPECIFIED",o[o.HOST=1]="HOST",o[o.PEER=2]="PEER",o[o.STAGED=3]="STAGED",o))(Dn||{});var Un=(s=>(s[s.UNSPECIFIED=0]="UNSPECIFIED",s[s.F32=1]="F32",s[s.BF16=2]="BF16",s[s.F16=3]="F16",s[s.Q8=4]="Q8",s))(Un||{});var kn=M("Cht0ZXNzZXJhL3YxL2V4dHJhY3Rpb24ucHJvdG8SCnRlc3NlcmEudjEiqgIKDkV4dHJhY3RSZXF1ZXN0EhIKCnJlcXVlc3RfaWQYASABKAkSDQoFbW9kZWwYAiABKAkSJAoFZmlsZXMYAyADKAsyFS\
50ZXNzZXJhLnYxLklucHV0RmlsZRIuCgZzY2hlbWEYBCABKAsyHC50ZXNzZXJhLnYxLkV4dHJhY3Rpb25TY2hlbWFIABIQCgZwcm9tcHQYBSABKAlIABIxCgpnZW5lcmF0aW9uGAYgASgLMh0udGVzc2VyYS52MS\
5HZW5lcmF0aW9uT3B0aW9ucxIqCgtldmVudF9raW5kcxgHIAMoDjIVLnRlc3NlcmEudjEuRXZlbnRLaW5kEiYKCHByaW9yaXR5GAggASgOMhQudGVzc2VyYS52MS5Qcmlvcml0eUIGCgR0YXNrIkUKCUlucHV0Rm\
lsZRIPCgdjb250ZW50GAEgASgMEg0KBXBhZ2VzGAIgAygNEhAKA2RwaRgDIAEoDUgAiAEBQgYKBF9kcGkiqQMKEUdlbmVyYXRpb25PcHRpb25zEh4KEW1heF9vdXRwdXRfdG9rZW5zGAEgASgNSACIAQESGAoLdG\
VtcGVyYXR1cmUYAiABKAJIAYgBARIRCgRzZWVkGAMgASgESAKIAQESFgoOc3RvcF9zZXF1ZW5jZXMYBCADKAkSHwoSbWF4X3RpbGVzX3Blcl9wYWdlGAUgASgNSAOIAQESEgoFdG9wX3AYBiABKAJIBIgBARIWCg\
ljb25zdHJhaW4YByABKAhIBYgBARISCgV0b3BfaxgIIAEoDUgGiAEBEhIKBW1pbl9wGAkgASgCSAeIAQESHwoScmVwZXRpdGlvbl9wZW5hbHR5GAogASgCSAiIAQESEAoIbG9ncHJvYnMYCyABKAhCFAoSX21heF\
9vdXRwdXRfdG9rZW5zQg4KDF90ZW1wZXJhdHVyZUIHCgVfc2VlZEIVChNfbWF4X3RpbGVzX3Blcl9wYWdlQggKBl90b3BfcEIMCgpfY29uc3RyYWluQggKBl90b3Bfa0IICgZfbWluX3BCFQoTX3JlcGV0aXRpb2\
5fcGVuYWx0eSL5AgoPRXh0cmFjdFJlc3BvbnNlEhAKCHNlcXVlbmNlGAEgASgEEigKCGFjY2VwdGVkGAIgASgLMhQudGVzc2VyYS52MS5BY2NlcHRlZEgAEigKCHByb2dyZXNzGAMgASgLMhQudGVzc2VyYS52MS\
5Qcm9ncmVzc0gAEi0KC3Rva2VuX2RlbHRhGAQgASgLMhYudGVzc2VyYS52MS5Ub2tlbkRlbHRhSAASLQoLZmllbGRfZGVsdGEYBSABKAsyFi50ZXNzZXJhLnYxLkZpZWxkRGVsdGFIABI1Cg9maWVsZF9jb21wbG\
V0ZWQYBiABKAsyGi50ZXNzZXJhLnYxLkV4dHJhY3RlZEZpZWxkSAASKgoJY29tcGxldGVkGAcgASgLMhUudGVzc2VyYS52MS5Db21wbGV0ZWRIABI2Cg1kb2N1bWVudF90eXBlGAggASgLMh0udGVzc2VyYS52MS\
5Eb2N1bWVudFR5cGVGb3VuZEgAQgcKBWV2ZW50IsUBCghBY2NlcHRlZBISCgpyZXF1ZXN0X2lkGAEgASgJEg0KBW1vZGVsGAIgASgJEhYKDm1vZGVsX3JldmlzaW9uGAMgASgJEhAKCHRyYWNlX2lkGAQgASgJEh\
YKDnRpbGVzX3Blcl9wYWdlGAUgAygNEhQKDGlucHV0X3Rva2VucxgGIAEoDRIlCgVwYWdlcxgHIAMoCzIWLnRlc3NlcmEudjEuUGFnZVNvdXJjZRIXCg9wcm9tcHRfdGVtcGxhdGUYCCABKAkiTQoKUGFnZVNvdX\
JjZRIMCgRmaWxlGAEgASgNEgwKBHBhZ2UYAiABKA0SEAoId2lkdGhfcHgYAyABKA0SEQoJaGVpZ2h0X3B4GAQgASgNIqcBChFEb2N1bWVudFR5cGVGb3VuZBIvCg1kb2N1bWVudF90eXBlGAEgASgOMhgudGVzc2\
VyYS52MS5Eb2N1bWVudFR5cGUSFwoKY29uZmlkZW5jZRgCIAEoAkgAiAEBEiAKBXVzYWdlGAMgASgLMhEudGVzc2VyYS52MS5Vc2FnZRIXCg9wcm9tcHRfdGVtcGxhdGUYBCABKAlCDQoLX2NvbmZpZGVuY2Ui0A\
EKCFByb2dyZXNzEiAKBXBoYXNlGAEgASgOMhEudGVzc2VyYS52MS5QaGFzZRIqCgdlbGFwc2VkGAIgASgLMhkuZ29vZ2xlLnByb3RvYnVmLkR1cmF0aW9uEhsKDnF1ZXVlX3Bvc2l0aW9uGAMgASgNSACIAQESFQ\
oNZW5jb2RlZF90aWxlcxgEIAEoDRIYChBwcmVmaWxsZWRfdG9rZW5zGAUgASgNEhUKDW91dHB1dF90b2tlbnMYBiABKA1CEQoPX3F1ZXVlX3Bvc2l0aW9uIkEKClRva2VuRGVsdGESDAoEdGV4dBgBIAEoCRITCg\
t0b2tlbl9jb3VudBgCIAEoDRIQCghsb2dwcm9icxgDIAMoAiIrCgpGaWVsZERlbHRhEg8KB3BvaW50ZXIYASABKAkSDAoEdGV4dBgCIAEoCSKDAgoORXh0cmFjdGVkRmllbGQSDwoHcG9pbnRlchgBIAEoCRIlCg\
V2YWx1ZRgCIAEoCzIWLmdvb2dsZS5wcm90b2J1Zi5WYWx1ZRILCgNyYXcYAyABKAkSFwoKY29uZmlkZW5jZRgEIAEoAkgAiAEBEiIKFW1pbl90b2tlbl9wcm9iYWJpbGl0eRgFIAEoAkgBiAEBEioKCm5vcm1hbG\
l6ZWQYBiABKAsyFi5nb29nbGUucHJvdG9idWYuVmFsdWUSEQoEcGFnZRgHIAEoDUgCiAEBQg0KC19jb25maWRlbmNlQhgKFl9taW5fdG9rZW5fcHJvYmFiaWxpdHlCBwoFX3BhZ2UizAIKCUNvbXBsZXRlZBIvCg\
1maW5pc2hfcmVhc29uGAEgASgOMhgudGVzc2VyYS52MS5GaW5pc2hSZWFzb24SDAoEdGV4dBgCIAEoCRIaCg1kb2N1bWVudF9qc29uGAMgASgJSACIAQESFgoOZG9jdW1lbnRfZXJyb3IYBCABKAkSIAoFdXNhZ2\
UYBSABKAsyES50ZXNzZXJhLnYxLlVzYWdlEiQKB3RpbWluZ3MYBiABKAsyEy50ZXNzZXJhLnYxLlRpbWluZ3MSKgoGZmllbGRzGAcgAygLMhoudGVzc2VyYS52MS5FeHRyYWN0ZWRGaWVsZBIhCgZjaGVja3MYCC\
ADKAsyES50ZXNzZXJhLnYxLkNoZWNrEiMKB3JlcGFpcnMYCSADKA4yEi50ZXNzZXJhLnYxLlJlcGFpckIQCg5fZG9jdW1lbnRfanNvbiJfCgVDaGVjaxIjCgRydWxlGAEgASgOMhUudGVzc2VyYS52MS5DaGVja1\
J1bGUSDgoGcGFzc2VkGAIgASgIEg8KB21lc3NhZ2UYAyABKAkSEAoIcG9pbnRlcnMYBCADKAkiZwoFVXNhZ2USFAoMaW5wdXRfdG9rZW5zGAEgASgNEhQKDGltYWdlX3Rva2VucxgCIAEoDRIVCg1vdXRwdXRfdG\
9rZW5zGAMgASgNEhsKE2NhY2hlZF9pbnB1dF90b2tlbnMYBCABKA0ixgIKB1RpbWluZ3MSKAoFcXVldWUYASABKAsyGS5nb29nbGUucHJvdG9idWYuRHVyYXRpb24SLQoKcHJlcHJvY2VzcxgCIAEoCzIZLmdvb2\
dsZS5wcm90b2J1Zi5EdXJhdGlvbhIpCgZ2aXNpb24YAyABKAsyGS5nb29nbGUucHJvdG9idWYuRHVyYXRpb24SKgoHcHJlZmlsbBgEIAEoCzIZLmdvb2dsZS5wcm90b2J1Zi5EdXJhdGlvbhIpCgZkZWNvZGUYBS\
ABKAsyGS5nb29nbGUucHJvdG9idWYuRHVyYXRpb24SNgoTdGltZV90b19maXJzdF90b2tlbhgGIAEoCzIZLmdvb2dsZS5wcm90b2J1Zi5EdXJhdGlvbhIoCgV0b3RhbBgHIAEoCzIZLmdvb2dsZS5wcm90b2J1Zi\
5EdXJhdGlvbiJsChNCYXRjaEV4dHJhY3RSZXF1ZXN0Ei0KB2V4dHJhY3QYASABKAsyGi50ZXNzZXJhLnYxLkV4dHJhY3RSZXF1ZXN0SAASGwoRY2FuY2VsX3JlcXVlc3RfaWQYAiABKAlIAEIJCgdtZXNzYWdlIp\
EBChRCYXRjaEV4dHJhY3RSZXNwb25zZRISCgpyZXF1ZXN0X2lkGAEgASgJEi8KCHJlc3BvbnNlGAIgASgLMhsudGVzc2VyYS52MS5FeHRyYWN0UmVzcG9uc2VIABIpCgVlcnJvchgDIAEoCzIYLnRlc3NlcmEudj\
EuRXh0cmFjdEVycm9ySABCCQoHb3V0Y29tZSJ9CgxFeHRyYWN0RXJyb3ISDAoEY29kZRgBIAEoBRIOCgZyZWFzb24YAiABKAkSDwoHbWVzc2FnZRgDIAEoCRIuCgtyZXRyeV9hZnRlchgEIAEoCzIZLmdvb2dsZS\
5wcm90b2J1Zi5EdXJhdGlvbhIOCgZmaWVsZHMYBSADKAkiIQoQTW9kZWxJbmZvUmVxdWVzdBINCgVtb2RlbBgBIAEoCSI8ChFNb2RlbEluZm9SZXNwb25zZRInCgZzdGF0dXMYASABKAsyFy50ZXNzZXJhLnYxLk\
1vZGVsU3RhdHVzIiYKFVdhdGNoTW9kZWxJbmZvUmVxdWVzdBINCgVtb2RlbBgBIAEoCSJBChZXYXRjaE1vZGVsSW5mb1Jlc3BvbnNlEicKBnN0YXR1cxgBIAEoCzIXLnRlc3NlcmEudjEuTW9kZWxTdGF0dXMqUg\
oIUHJpb3JpdHkSGAoUUFJJT1JJVFlfVU5TUEVDSUZJRUQQABIYChRQUklPUklUWV9JTlRFUkFDVElWRRABEhIKDlBSSU9SSVRZX0JBVENIEAIqagoJRXZlbnRLaW5kEhoKFkVWRU5UX0tJTkRfVU5TUEVDSUZJRU\
QQABIVChFFVkVOVF9LSU5EX1RPS0VOUxABEhMKD0VWRU5UX0tJTkRfTk9ORRACEhUKEUVWRU5UX0tJTkRfRklFTERTEAMqZwoFUGhhc2USFQoRUEhBU0VfVU5TUEVDSUZJRUQQABIQCgxQSEFTRV9RVUVVRUQQAR\
IQCgxQSEFTRV9WSVNJT04QAhIRCg1QSEFTRV9QUkVGSUxMEAMSEAoMUEhBU0VfREVDT0RFEAQqzwEKBlJlcGFpchIWChJSRVBBSVJfVU5TUEVDSUZJRUQQABIRCg1SRVBBSVJfUVVPVEVTEAESFQoRUkVQQUlSX0\
JBUkVfTkFNRVMQAhIZChVSRVBBSVJfVFJBSUxJTkdfQ09NTUEQAxIYChRSRVBBSVJfTUlTU0lOR19DT01NQRAEEhAKDFJFUEFJUl9XT1JEUxAFEhUKEVJFUEFJUl9DSEFSQUNURVJTEAYSEwoPUkVQQUlSX0NPTU\
1FTlRTEAcSEAoMUkVQQUlSX0xJTkVTEAgqzQEKCUNoZWNrUnVsZRIaChZDSEVDS19SVUxFX1VOU1BFQ0lGSUVEEAASGwoXQ0hFQ0tfUlVMRV9BQk5fQ0hFQ0tTVU0QARIdChlDSEVDS19SVUxFX0xJTkVfSVRFTV\
NfU1VNEAISGAoUQ0hFQ0tfUlVMRV9HU1RfU0hBUkUQAxIZChVDSEVDS19SVUxFX0RBVEVfT1JERVIQBBIWChJDSEVDS19SVUxFX0JBTEFOQ0UQBRIbChdDSEVDS19SVUxFX0xJU1RfTEVOR1RIUxAGKl8KDEZpbm\
lzaFJlYXNvbhIdChlGSU5JU0hfUkVBU09OX1VOU1BFQ0lGSUVEEAASFgoSRklOSVNIX1JFQVNPTl9TVE9QEAESGAoURklOSVNIX1JFQVNPTl9MRU5HVEgQAjLfAgoRRXh0cmFjdGlvblNlcnZpY2USRAoHRXh0cm\
FjdBIaLnRlc3NlcmEudjEuRXh0cmFjdFJlcXVlc3QaGy50ZXNzZXJhLnYxLkV4dHJhY3RSZXNwb25zZTABElUKDEJhdGNoRXh0cmFjdBIfLnRlc3NlcmEudjEuQmF0Y2hFeHRyYWN0UmVxdWVzdBogLnRlc3Nlcm\
EudjEuQmF0Y2hFeHRyYWN0UmVzcG9uc2UoATABEk0KCU1vZGVsSW5mbxIcLnRlc3NlcmEudjEuTW9kZWxJbmZvUmVxdWVzdBodLnRlc3NlcmEudjEuTW9kZWxJbmZvUmVzcG9uc2UiA5ACARJeCg5XYXRjaE1vZG\
VsSW5mbxIhLnRlc3NlcmEudjEuV2F0Y2hNb2RlbEluZm9SZXF1ZXN0GiIudGVzc2VyYS52MS5XYXRjaE1vZGVsSW5mb1Jlc3BvbnNlIgOQAgEwAWIGcHJvdG8z",[vo,Ae,xs,gt]),As=k(kn,0);var ws=k(kn,11);var Cn=(u=>(u[u.UNSPECIFIED=0]="UNSPECIFIED",u[u.QUOTES=1]="QUOTES",u[u.BARE_NAMES=2]="BARE_NAMES",u[u.TRAILING_COMMA=3]="TRAILING_COMMA",u[u.MISSING_COMMA=4]="\
MISSING_COMMA",u[u.WORDS=5]="WORDS",u[u.CHARACTERS=6]="CHARACTERS",u[u.COMMENTS=7]="COMMENTS",u[u.LINES=8]="LINES",u))(Cn||{});var Mn=(r=>(r[r.UNSPECIFIED=0]="UNSPECIFIED",r[r.STOP=1]="STOP",r[r.LENGTH=2]="LENGTH",r))(Mn||{});var Ts=ms(kn,0);async function yt(e){let t=await Promise.all(e.files.map(xc));return w(As,{requestId:e.requestId??"",model:e.model??"",files:t,task:Ic(e),eventKinds:e.eventKinds??
[],priority:e.priority??0,...e.generation&&{generation:e.generation}})}function Ic(e){if([e.documentType,e.jsonSchema,e.schema,e.prompt].filter(o=>o!==void 0).length>
1)throw new TypeError("give one of documentType, jsonSchema, schema and prompt");if(e.prompt!==void 0)return{case:"prompt",value:e.prompt};if(e.schema!==void 0)
return{case:"schema",value:e.schema};let n={instructions:e.instructions??"",...e.answerStyle&&{answerStyle:e.answerStyle}};if(e.jsonSchema!==void 0){let{jsonSchema:o}=e;
return{case:"schema",value:{source:{case:"jsonSchema",value:typeof o=="string"?o:JSON.stringify(o)},...n}}}return e.documentType===void 0?{case:void 0}:{case:"s\
chema",value:{source:{case:"documentType",value:vc(e.documentType)},...n}}}function vc(e){if(typeof e!="string")return e;let t=j[e.toUpperCase().replaceAll("-",
"_")];if(t===void 0||t===0){let r=Object.values(j).filter(o=>typeof o=="string"&&o!=="UNSPECIFIED").map(o=>String(o).toLowerCase().replaceAll("_","-")).join(", ");
throw new TypeError(`unknown document type ${JSON.stringify(e)}: give one of ${r}`)}return t}async function xc(e){return"file"in e?{content:await Rs(e.file),pages:[
...e.pages??[]],...e.dpi!==void 0&&{dpi:e.dpi}}:{content:await Rs(e)}}async function Rs(e){return e instanceof Uint8Array?e:e instanceof ArrayBuffer?new Uint8Array(
e):new Uint8Array(await e.arrayBuffer())}function Vs(e,t,n){let r=e.eventKinds??(n?[2]:[]),o=e.requestId||`document-${t+1}`;return{...e,eventKinds:r,requestId:o,priority:e.priority??2}}var Et=class{#e;#t;#n=new Map;#r=[];#o=[];#s=0;#a=!1;#c=!1;#i;#u=()=>{};constructor(t,n){
this.#t=Fs(t),this.#e=n}async*run(t,n,r,o){let s=!1;try{for await(let a of t.batchExtract(this.#p(r),n)){yield*this.#l();let i=this.#f(a);this.#u(),i&&(yield i)}
yield*this.#l(),s=this.#a&&this.#n.size===0}catch(a){throw this.#i?this.#i.error:D.from(a,o)}finally{this.#c=!0,r.abort(),this.#u();for(let a of this.#n.values())
a.document.signal?.removeEventListener("abort",a.stopped)}if(this.#i)throw this.#i.error;if(!s)throw new J}#l(){let t=this.#o;return this.#o=[],t}async*#p(t){try{
for(;!this.#c&&!this.#i&&!(this.#a&&this.#n.size===0);){let n=new Promise(o=>this.#u=o),r=this.#r.shift();!r&&!this.#a&&this.#n.size<this.#e.inFlight&&(r=await this.#h(
t),!r)||(r?yield r:await n)}}finally{await this.#t.return?.()}}async#h(t){let n;try{n=await this.#t.next()}catch(c){this.#i={error:c},t.abort();return}if(n.done){
this.#a=!0;return}let{value:r}=n,o=this.#s;this.#s+=1;let s=Vs(r,o,this.#e.quiet),{requestId:a,signal:i}=s;try{let c=await yt(s);if(this.#n.has(a))throw new TypeError(
`requestId ${JSON.stringify(a)} is on its way already: each needs its own`);if(i?.aborted)throw Us(i);let u=()=>{this.#r.push({message:{case:"cancelRequestId",value:a}}),
this.#u()};return i?.addEventListener("abort",u,{once:!0}),this.#n.set(a,{index:o,document:r,request:c,attempt:1,answered:!1,stopped:u}),{message:{case:"extract",
value:c}}}catch(c){this.#o.push({index:o,requestId:a,document:r,error:Ds(c)});return}}#f({requestId:t,outcome:n}){let r=this.#n.get(t);if(!r)return;let{index:o,
document:s}=r;if(n.case==="error"){let i=D.ofDocument(n.value);return this.#m(r,i)?void 0:(this.#d(r),{index:o,requestId:t,document:s,error:i})}let a=n.case==="\
response"?ht(n.value):void 0;if(a)return r.answered=!0,a.case==="completed"&&this.#d(r),{index:o,requestId:t,document:s,event:a}}#m(t,n){let r=t.answered||t.document.
signal?.aborted||t.attempt>=this.#e.attempts,o=n.code==="RESOURCE_EXHAUSTED"||n.code==="UNAVAILABLE";return r||!o||n.retryAfterMs===void 0?!1:(t.attempt+=1,setTimeout(
()=>{this.#c||this.#n.get(t.request.requestId)!==t||(this.#r.push({message:{case:"extract",value:t.request}}),this.#u())},n.retryAfterMs),!0)}#d(t){this.#n.delete(
t.request.requestId),t.document.signal?.removeEventListener("abort",t.stopped)}};async function*Ls(e,t,n,r){let o=Fs(e),s=[],a=new Set,i=new AbortController,c=AbortSignal.
any([r,i.signal]),u=()=>{},[m,p]=[0,!1],h=async(d,f)=>{let b=Vs(d,f,n.quiet),E={index:f,requestId:b.requestId,document:d};try{let N=d.signal?AbortSignal.any([d.
signal,c]):c;for await(let T of t(b,N))s.push({...E,event:T}),u()}catch(N){s.push({...E,error:Ds(N)})}};try{for(;;){let d=new Promise(b=>u=b);for(;!p&&a.size<n.
inFlight;){let{done:b,value:E}=await o.next();if(p=b===!0,b)break;let N=h(E,m).finally(()=>{a.delete(N),u()});a.add(N),m+=1}let f=s.splice(0);if(yield*f,r.aborted)
throw Us(r);if(p&&a.size===0&&s.length===0)return;f.length===0&&await d}}finally{i.abort(),await o.return?.()}}async function*Fs(e){yield*e}function Ds(e){return e instanceof
Error?e:new Error(String(e))}function Us(e){return new D("the document was stopped by its caller","CANCELLED",{},e.reason)}var Ac=16,ks=5*6e4,Cs=4,wc=500,Tc=5e3,St=class{#e;#t;#n;constructor(t,n={},r=!1){this.#e=In(Ts,t),this.#t=n,this.#n=r}stream(t,n={}){return this.#r(()=>yt(t),n)}streamRequest(t,n={}){
return this.#r(()=>t,n)}async*#r(t,n){let r=await t(),o=Date.now()+(n.timeoutMs??this.#t.timeoutMs??ks);for(let s=1;;s+=1){let a=new AbortController,i=await this.#s(
{...n,timeoutMs:o-Date.now()},a),c=new Nt(this.#e.extract(r,i),a),[u,m]=[!1,!1];try{for(let p=await c.next();p;p=await c.next()){let h=ht(p);h&&(m=h.case==="com\
pleted",u=!0,yield h)}if(!m)throw new J;return}catch(p){let h=D.from(p,n.signal),d=Rc(h,s),f=s>=(this.#t.attempts??Cs);if(u||f||d===void 0||Date.now()+d>=o)throw h;
await Vc(d,n.signal)}finally{c.leave()}}}async extract(t,n={}){let r,o;for await(let s of this.stream(t,n))s.case==="accepted"&&(r=s.value),s.case==="completed"&&
(o=s.value);if(!r||!o)throw new J;return Ms(r,o)}async*batch(t,n={}){let r=new Map;for await(let{event:o,...s}of this.#o(t,n,!0)){if(o?.case==="accepted"&&r.set(
s.index,o.value),o?.case!=="completed"&&!s.error)continue;let a=r.get(s.index);r.delete(s.index),o?.case!=="completed"?yield s:a?yield{...s,answer:Ms(a,o.value)}:
yield{...s,error:new J}}}streamBatch(t,n={}){return this.#o(t,n,!1)}async*#o(t,n,r){let{inFlight:o=Ac,...s}=n,a={inFlight:Math.max(1,o),attempts:this.#t.attempts??
Cs,quiet:r};if(this.#n){let u=new AbortController;yield*new Et(t,a).run(this.#e,await this.#s({timeoutMs:0,...s},u),u,s.signal);return}let i=s.timeoutMs?Date.now()+
s.timeoutMs:void 0;yield*Ls(t,(u,m)=>this.stream(u,{...s,signal:m,...i!==void 0&&{timeoutMs:Math.max(1,i-Date.now())}}),a,s.signal??new AbortController().signal)}async modelInfo(t={}){
try{let{status:n}=await this.#e.modelInfo({},await this.#s(t));if(n)return n}catch(n){throw D.from(n,t.signal)}throw new D("the answer holds no status","DATA_LO\
SS")}async*watchModelInfo(t={}){let n=new AbortController,r=await this.#s({timeoutMs:0,...t},n),o=new Nt(this.#e.watchModelInfo({},r),n);try{for(let s=await o.next();s;s=
await o.next())s.status&&(yield s.status)}catch(s){throw D.from(s,t.signal)}finally{o.leave()}}async#s(t,n){let r=new Headers(t.headers),{token:o}=this.#t;o!==void 0&&
!r.has("authorization")&&r.set("authorization",`Bearer ${typeof o=="string"?o:await o()}`);let s=t.timeoutMs??this.#t.timeoutMs??ks,a=[t.signal,n?.signal].filter(
i=>i!==void 0);return{headers:r,timeoutMs:t.timeoutMs===0?0:Math.max(1,Math.ceil(s)),...a.length>0&&{signal:AbortSignal.any(a)}}}},Nt=class{#e;#t;#n=!1;constructor(t,n){
this.#e=t[Symbol.asyncIterator](),this.#t=n}async next(){this.#n=!0;let{done:t,value:n}=await this.#e.next();return this.#n=t===!0,t?void 0:n}leave(){this.#t.abort(),
this.#n||this.#e.next().catch(()=>{})}};function Ms(e,t){let n=t.documentJson,r=n===void 0?void 0:JSON.parse(n);return{accepted:e,completed:t,document:r}}function Rc(e,t){
let n=e.retryAfterMs;return e.code==="UNAVAILABLE"?n??Math.min(wc*2**(t-1),Tc):e.code==="RESOURCE_EXHAUSTED"?n:void 0}function Vc(e,t){return new Promise((n,r)=>{
let o=()=>{clearTimeout(s),r(new D("the call was ended by its caller","CANCELLED",{},t?.reason))},s=setTimeout(()=>{t?.removeEventListener("abort",o),n()},e);t?.
aborted?o():t?.addEventListener("abort",o,{once:!0})})}function Os(e,t={}){let{token:n,timeoutMs:r,attempts:o,...s}=t;return new St(Fn({...s,baseUrl:e}),{...n!==void 0&&{token:n},...r!==void 0&&{timeoutMs:r},...o!==
void 0&&{attempts:o}})}function g(e,t){let n=document.getElementById(e);if(!(n instanceof t))throw new Error(`index.html has no ${t.name} #${e}`);return n}function S(e,t={},...n){let r=document.
createElement(e);for(let[o,s]of Object.entries(t))s===!0?r.setAttribute(o,""):s!==!1&&r.setAttribute(o,s);return r.append(...n),r}function It(e,t){let n=t.filter(
a=>a.size>0),r=n.map(a=>`${a.label} ${a.shown}`).join(", "),o=S("div",{class:"bar",role:"img","aria-label":`${e}: ${r}`});for(let a of n){let i=S("span",{class:`\
tone-${a.tone}`,title:`${a.label}: ${a.shown}`});i.style.flexGrow=String(a.size),o.append(i)}let s=S("ul",{class:"legend","aria-hidden":"true"});for(let a of n)
s.append(S("li",{class:`tone-${a.tone}`},`${a.label} ${a.shown}`));return[o,s]}function Ve(e){let t=Number(e);for(let n of["B","KiB","MiB","GiB"]){if(t<1024)return`${t<
10&&n!=="B"?t.toFixed(1):Math.round(t)} ${n}`;t/=1024}return`${t.toFixed(1)} TiB`}var Lc={QUEUE_FULL:"Many documents are waiting. Try again a little later.",MODEL_LOADING:"The model is still being loaded. It answers once the state above says \
ready.",DRAINING:"This server is shutting down.",DRAIN_TIMEOUT:"The server was shut down while it read this document. Read it again.",DEADLINE:"The deadline pas\
sed. Give it more seconds in the options, or send fewer pages.",SLOW_CLIENT:"This page took nothing for too long. Keep it in front while it reads.",MODEL_POISONED:"\
The model spoilt several answers in a row and has to be restarted by its operator.",MODEL_FAILED:"The model could not be loaded. The server's log says why.",NON_FINITE_LOGITS:"\
The model's numbers overflowed. No answer is better than a wrong one.",GIBBERISH:"The model wrote nothing that could be read.",REPETITION:"The model repeated it\
self without end."};function Gs(e,t){let n=g("failure",HTMLDivElement),r=e.reason?`${e.code}, ${e.reason}`:e.code;if(n.replaceChildren(S("strong",{},r)),e.violations.
length===0&&n.append(S("p",{},e.message||"The server gave no message.")),e.violations.length>0){let s=S("ul");for(let a of e.violations)s.append(S("li",{},S("co\
de",{},a.field),` ${a.description}`));n.append(s)}let o=Lc[e.reason]??Fc(e);if(o&&n.append(S("p",{},o)),e.code!=="INVALID_ARGUMENT"){let s=S("button",{type:"but\
ton"},"Try again");s.addEventListener("click",t),n.append(s)}n.hidden=!1}function Fc(e){return e.code==="UNAUTHENTICATED"?"Give an access token in the options.":
e.code==="UNKNOWN"||e.code==="UNAVAILABLE"?"The server cannot be reached from this page.":""}function _s(){g("failure",HTMLDivElement).hidden=!0}var Bs=.9,vt=class{#e=g("fields",HTMLDivElement);#t=g("checks",HTMLUListElement);#n=new Map;#r=0;reset(t){this.#n.clear(),this.#e.replaceChildren(),this.#t.replaceChildren(),
this.#t.hidden=!0;for(let n of t)this.#o(`/${n.replaceAll("~","~0").replaceAll("/","~1")}`)}delta(t,n){let r=this.#o(t);r.done||(r.root.classList.add("writing"),
r.root.classList.remove("empty"),r.value.value+=n,On(r.value))}complete(t){let n=this.#o(t.pointer);n.done=!0,n.root.classList.remove("writing","empty"),n.value.
value=_n(t),n.root.classList.toggle("absent",Ys(t)),n.trust.replaceChildren(...Dc(t));let r=Uc(t);n.normal.textContent=r===void 0?"":`= ${r}`,n.normal.hidden=r===
void 0,On(n.value)}end(){for(let t of this.#n.values())t.root.classList.remove("writing"),!t.done&&t.value.value!==""&&(t.value.value="",t.root.classList.add("e\
mpty"),t.trust.replaceChildren(S("span",{class:"doubt"},"not finished")),On(t.value))}checks(t){this.#t.hidden=t.length===0,this.#t.replaceChildren(...t.map(n=>{
let r=n.pointers.map(Gn).join(", "),o=n.passed?`${r}: agree`:`${r}: ${n.message}`;return S("li",{class:n.passed?"passed":"failed"},o)}))}#o(t){let n=this.#n.get(
t);if(n)return n;this.#r+=1;let r=`field-${this.#r}`,o=S("textarea",{id:r,rows:"1",readonly:!0,"data-pointer":t}),s=S("div",{class:"trust"}),a=S("div",{class:"n\
ormal",hidden:!0}),i=S("label",{for:r,title:t},Gn(t)),c=S("div",{class:"field empty"},i,o,s,a);this.#e.append(c);let u={root:c,value:o,trust:s,normal:a,done:!1};
return this.#n.set(t,u),u}};function On(e){e.style.height="auto",e.style.height=`${e.scrollHeight+2}px`}function Gn(e){return e.split("/").slice(1).map(r=>r.replaceAll(
"~1","/").replaceAll("~0","~")).map(r=>{if(/^\d+$/.test(r))return String(Number(r)+1);let o=r.replaceAll("_"," ").toLowerCase().replace(/\b(gst|abn)\b/g,s=>s.toUpperCase());
return o.charAt(0).toUpperCase()+o.slice(1)}).join(" \u203A ")||"Value"}function _n(e){if(Ys(e))return"not on the page";let{kind:t}=e.value??{};return t?.case===
"stringValue"?t.value:e.raw}function Ys(e){return e.raw==="null"||e.raw==='"NOT_FOUND"'}function Dc(e){if(e.confidence===void 0)return[];let t=`${Math.floor(e.confidence*
1e3)/10} %`,n=S("meter",{min:"0",max:"1",low:"0.7",high:String(Bs),optimum:"1",value:String(e.confidence),"aria-label":`Confidence in ${Gn(e.pointer)}`});n.title=
`confidence ${e.confidence.toFixed(4)}, least probable token ${e.minTokenProbability?.toFixed(4)??"unknown"}`;let r=e.confidence<Bs||(e.minTokenProbability??1)<
.5;return[n,S("span",r?{class:"doubt"}:{},r?`${t}, look`:t)]}function Uc(e){let t=e.normalized?.kind;switch(t?.case){case"stringValue":return t.value===_n(e)?void 0:
t.value;case"boolValue":return String(t.value)===_n(e)?void 0:String(t.value);case"numberValue":return String(t.value)===e.raw?void 0:String(t.value);default:return}}var xt=class{#e=[];#t=[];#n=g("pages",HTMLOListElement);#r;constructor(t){this.#r=t;let n=g("files",HTMLInputElement),r=g("drop",HTMLLabelElement);n.addEventListener(
"change",()=>{this.add([...n.files??[]]),n.value=""}),document.addEventListener("dragover",o=>{o.preventDefault(),r.classList.add("over")}),document.addEventListener(
"dragleave",()=>r.classList.remove("over")),document.addEventListener("drop",o=>{o.preventDefault(),r.classList.remove("over"),this.add([...o.dataTransfer?.files??
[]])}),document.addEventListener("paste",o=>{let s=[...o.clipboardData?.files??[]];s.length!==0&&(o.preventDefault(),this.add(s))})}get files(){return this.#e}add(t){
this.#e.push(...t),this.#o()}replace(t){this.#e=t,this.#o()}#o(){for(let t of this.#t)URL.revokeObjectURL(t);this.#t=[],this.#n.replaceChildren(...this.#e.map((t,n)=>this.#s(
t,n))),this.#r()}#s(t,n){let r=t.name||`pasted page ${n+1}`,o=S("button",{type:"button","aria-label":`Remove ${r}`},"\xD7");return o.addEventListener("click",()=>{
this.#e.splice(n,1),this.#o(),g("files",HTMLInputElement).focus()}),S("li",{},this.#a(t,r),S("span",{class:"name",title:r},r),o)}#a(t,n){let r=()=>S("span",{class:"\
file"},n.split(".").pop()?.toUpperCase()??"FILE");if(!/^image\/(png|jpeg|webp)$/.test(t.type))return r();let o=URL.createObjectURL(t);this.#t.push(o);let s=S("i\
mg",{src:o,alt:n});return s.addEventListener("error",()=>s.replaceWith(r())),s}};function Zs(e){let t=g("placement-note",HTMLParagraphElement),n=g("devices",HTMLDivElement);if(e.placements.length===0){t.textContent=e.stateMessage||"Placement\
 is not decided yet.",n.replaceChildren();return}let r=e.verification?.tensors??0;t.textContent=`${e.placements.length} modules on ${e.devices.length} ${e.devices.
length===1?"device":"devices"}, KV cache in ${Bn(e.kvCacheDtype)} for ${e.kvCapacityTokens.toLocaleString("en")} tokens`+(r>0?`; ${r} tensors found where they s\
hould be.`:".");let o=e.devices.map(s=>kc(s,e.placements.filter(a=>a.deviceId===s.id)));e.links.length>0&&o.push(Mc(e.links)),n.replaceChildren(...o)}function kc(e,t){
let n=e.weightBytes+e.kvCacheBytes,r=e.totalBytes-e.freeBytes,o=(c,u,m)=>({label:c,size:Math.max(0,Number(u)),shown:Ve(u),tone:m}),s=It(`Memory of ${e.id}`,[o("\
weights",e.weightBytes,5),o("KV cache",e.kvCacheBytes,3),o("other",r-n,1),o("free",e.freeBytes,6)]),a=S("ol",{class:"modules","aria-label":`Modules on ${e.id}`});
a.append(...t.map(Cc));let i=e.computeCapability?`, compute capability ${e.computeCapability}`:"";return S("article",{class:"device"},S("h3",{},e.id),S("p",{class:"\
quiet"},`${e.name}${i}, ${Ve(e.totalBytes)}`),...s,a)}function Cc(e){let t=Bn(e.weightDtype),n=Bn(e.computeDtype),r=t===n?t:`${t}, computes in ${n}`,o=S("li",{class:`\
tone-${Oc(e.weightDtype)}`},S("span",{},e.module),S("span",{class:"quiet"},`${r}, ${Ve(e.weightBytes)}`));return e.dtypeReason&&o.append(S("span",{class:"why"},
e.dtypeReason)),o}function Mc(e){let t=S("ul",{class:"links","aria-label":"Copies between devices"});for(let n of e){let r=(Dn[n.route]??"unknown").toLowerCase(),
o=n.bytesPerSecond>0?`, ${Ve(n.bytesPerSecond)}/s`:"",s=n.reason?`: ${n.reason}`:"";t.append(S("li",{},`${n.fromDeviceId} \u2192 ${n.toDeviceId}: ${r}${o}${s}`))}
return t}function Bn(e){return(Un[e]??"unknown").toLowerCase()}function Oc(e){return e===1?2:e===2?5:e===3?3:4}var de="schema",Le="prompt",At=class{#e=g("task",HTMLSelectElement);#t=g("schema",HTMLTextAreaElement);#n;#r;#o="";constructor(t){this.#n=t,this.#e.addEventListener(
"change",()=>this.#a()),this.#t.addEventListener("input",()=>this.#i())}offer(t){let n=this.#s(this.#r).map(({documentType:a})=>a).join();this.#r=t;let r=this.#s(
t);if(this.#e.options.length>0&&n===r.map(({documentType:a})=>a).join())return;let o=this.#e.value,s=(t.capabilities?.jsonSchemaKeywords.length??0)>0;this.#e.replaceChildren(
...r.length>1?[S("option",{value:String(4)},"Fields of whatever it is")]:[],...r.map(({documentType:a})=>S("option",{value:String(a)},`Fields of ${Yn(Zn(a))}`)),
...s?[S("option",{value:de},"Fields of a schema of mine")]:[],S("option",{value:Le},"Answer to a question of mine")),this.#e.value=o||String(r[0]?.documentType??
Le),this.#a()}select(t){this.#e.value=String(t),this.#a()}get isReady(){return this.#e.value!==de||this.#t.validity.valid}get what(){let t=g("instructions",HTMLTextAreaElement).
value;switch(this.#e.value){case Le:return{prompt:g("prompt",HTMLTextAreaElement).value};case de:return{jsonSchema:this.#t.value,instructions:t};default:return{
documentType:Number(this.#e.value),instructions:t}}}get names(){if(this.#e.value!==de)return this.namesOf(Number(this.#e.value));let t=JSON.parse(this.#t.value);
return Object.entries(t.properties??{}).filter(([,{type:r}])=>r!=="array"&&r!=="object").map(([r])=>r)}namesOf(t){return this.#s(this.#r).find(({documentType:n})=>n===
t)?.fields??[]}#s(t){return t?.capabilities?.builtInSchemas??[]}#a(){let{value:t}=this.#e;g("prompt-row",HTMLDivElement).hidden=t!==Le,g("instructions-row",HTMLDivElement).
hidden=t===Le,g("schema-row",HTMLDivElement).hidden=t!==de,this.#s(this.#r).some(({documentType:n})=>String(n)===t)&&(this.#o=t),t===de&&this.#t.value===""&&this.#c(),
this.#i()}#c(){let t=this.#s(this.#r).find(({documentType:n})=>String(n)===this.#o);t?.jsonSchema&&(this.#t.value=JSON.stringify(JSON.parse(t.jsonSchema),null,2))}#i(){
let t=g("schema-note",HTMLParagraphElement),n=this.#r?.capabilities?.jsonSchemaKeywords??[],r="";try{let o=JSON.parse(this.#t.value||"{}");(typeof o!="object"||
o===null||Array.isArray(o))&&(r="A schema is a JSON object.")}catch(o){r=`Not JSON yet: ${o.message}`}this.#t.setCustomValidity(r),t.textContent=r||`It may use ${n.
join(", ")}.`,this.#n()}};function Yn(e){return`${/^[aeiou]/.test(e)?"an":"a"} ${e}`}function Zn(e){return(j[e]??`type ${e}`).toLowerCase().replaceAll("_"," ")}var Ps=["queue","vision","prefill","decode"],Gc={1:"queue",2:"vision",3:"prefill",4:"decode"},Tt=class{#e;#t;#n=g("status",HTMLParagraphElement);#r=g("answer",HTMLElement);#o=g(
"text",HTMLPreElement);#s=g("tiles",HTMLDivElement);#a;#c="";#i=0;#u=0;#l="";constructor(t,n){this.#e=t,this.#t=n}begin(t){this.#a=void 0,this.#c="",this.#i=0,this.#u=
0,this.#e.reset(t),this.#o.textContent="",this.#r.setAttribute("aria-busy","true"),g("rate",HTMLSpanElement).textContent="",g("summary",HTMLDivElement).hidden=!0,
g("raw",HTMLDetailsElement).hidden=!1,g("phases",HTMLOListElement).hidden=!1,this.#s.hidden=!0,this.#m(""),this.say("Sending the document.")}show(t){switch(t.case){case"\
accepted":this.#p(t.value);break;case"documentType":this.#e.reset(this.#t(t.value.documentType)),this.say(`It is ${Yn(Zn(t.value.documentType))}.`);break;case"p\
rogress":this.#h(t.value);break;case"tokenDelta":this.#f("decode","Reading: the answer is being written."),this.#o.append(t.value.text),this.#o.scrollTop=this.#o.
scrollHeight,this.#b(t.value.tokenCount);break;case"fieldDelta":this.#e.delta(t.value.pointer,t.value.text);break;case"fieldCompleted":this.#e.complete(t.value);
break;case"completed":this.#y(t.value);break}}stop(t){this.#e.end(),this.#a||(this.#e.reset([]),g("phases",HTMLOListElement).hidden=!0,g("raw",HTMLDetailsElement).
hidden=!0),this.#m(""),this.#r.setAttribute("aria-busy","false"),this.say(t)}say(t){this.#n.textContent!==t&&(this.#n.textContent=t)}#p(t){this.#a=t;let n=t.tilesPerPage.
map(r=>S("div",{class:"page"},...Array.from({length:r},()=>S("i"))));this.#s.replaceChildren(...n),this.#s.hidden=!1,this.#g(0)}#h(t){let n=Gc[t.phase]??"",r=this.#d(),
o=t.queuePosition===void 0?"":`, ${t.queuePosition} before this one`;this.#f(n,{queue:`Waiting in the queue${o}.`,vision:`Reading: ${r} ${r===1?"tile":"tiles"} \
through the vision encoder.`,prefill:"Reading: the model takes the prompt in.",decode:"Reading: the answer is being written.","":"Reading."}[n]),this.#g(n==="pr\
efill"||n==="decode"?r:t.encodedTiles)}#f(t,n){t!==this.#c&&(this.#c=t,this.#m(t),this.say(n))}#m(t){let n=Ps.findIndex(r=>r===t);for(let r of g("phases",HTMLOListElement).
children){let o=Ps.findIndex(s=>s===r.dataset.phase);r.classList.toggle("done",o<n),o===n&&n>=0?r.setAttribute("aria-current","step"):r.removeAttribute("aria-cu\
rrent")}}#d(){return this.#a?.tilesPerPage.reduce((t,n)=>t+n,0)??0}#g(t){let n=this.#s.querySelectorAll("i");n.forEach((r,o)=>r.classList.toggle("done",o<t)),this.#s.
setAttribute("aria-label",`${t} of ${n.length} tiles encoded`)}#b(t){this.#i+=t,this.#u||=performance.now();let n=(performance.now()-this.#u)/1e3,r=n>.2?`, ${(this.#i/
n).toFixed(0)} a second`:"";g("rate",HTMLSpanElement).textContent=`${this.#i} tokens${r}`}#y(t){this.#e.end(),this.#e.checks(t.checks),this.#g(this.#d());for(let a of g(
"phases",HTMLOListElement).children)a.classList.add("done"),a.removeAttribute("aria-current");this.#r.setAttribute("aria-busy","false"),this.#E(t);let n=t.fields.
length,r=t.finishReason===2?" It was cut at its longest length.":"",o=t.documentError?` No document: ${t.documentError}.`:"",s=n>0?`${n} ${n===1?"field":"fields"}`:
"the answer is below";this.say(`Done: ${s}, ${wt(t.timings?.total)}.${r}${o}`),n===0&&(g("raw",HTMLDetailsElement).open=!0)}#E(t){let n=t.timings,r=(i,c,u)=>({label:i,
size:Pn(c),shown:wt(c),tone:u});g("times",HTMLDivElement).replaceWith(S("div",{id:"times"},...It("Time",[r("queue",n?.queue,1),r("pages",n?.preprocess,2),r("vis\
ion",n?.vision,3),r("prompt",n?.prefill,4),r("answer",n?.decode,5)])));let o=t.usage,s=Pn(n?.decode),a=[["First token",wt(n?.timeToFirstToken)],["All",wt(n?.total)],
["Input tokens",`${o?.inputTokens??0}, ${o?.imageTokens??0} of pages`],["Output tokens",String(o?.outputTokens??0)],["Tokens a second",s>0?((o?.outputTokens??0)/
s).toFixed(1):"\u2013"],["Finish",(Mn[t.finishReason]??"unknown").toLowerCase()],...t.repairs.length>0?[["Mended",t.repairs.map(_c).join(", ")]]:[],["Request id",
this.#a?.requestId??""],["Trace id",this.#a?.traceId||"not traced"]];g("facts",HTMLDListElement).replaceChildren(...a.map(([i,c])=>S("div",{},S("dt",{},i),S("dd",
{},c)))),this.#S(t),g("summary",HTMLDivElement).hidden=!1}#S(t){let n=t.documentJson??JSON.stringify(ln(ws,t),null,2);URL.revokeObjectURL(this.#l),this.#l=URL.createObjectURL(
new Blob([n],{type:"application/json"})),g("download",HTMLAnchorElement).href=this.#l;let r=g("copy",HTMLButtonElement);r.onclick=async()=>{await navigator.clipboard.
writeText(n),this.say("Copied.")},r.hidden=!window.isSecureContext}};function _c(e){return(Cn[e]??String(e)).toLowerCase().replaceAll("_"," ")}function Pn(e){return e?
Number(e.seconds)+e.nanos/1e9:0}function wt(e){let t=Pn(e);return t<1?`${Math.round(t*1e3)} ms`:`${t.toFixed(2)} s`}var Bc=2e3;async function Xs(e,t){for(;;){try{for await(let n of e.watchModelInfo())Yc(n),t(n)}catch(n){console.info("no news of the server",n)}Zc(),t(void 0),await new Promise(
n=>setTimeout(n,Bc))}}function Yc(e){let t=(bt[e.state]??"unknown").toLowerCase(),n=g("state",HTMLSpanElement);n.dataset.state!==t&&(n.dataset.state=t,n.textContent=
t);let r=e.state===2?"":` ${e.stateMessage}`;g("model",HTMLSpanElement).textContent=`${e.model}${r}`;let{runningRequests:o=0,queuedRequests:s=0}=e.load??{};g("l\
oad",HTMLParagraphElement).textContent=`${o} running, ${s} waiting`,g("version",HTMLSpanElement).textContent=`Tessera ${e.serverVersion}, ${e.model} ${e.revision}\
.`}function Zc(){let e=g("state",HTMLSpanElement);e.dataset.state="gone",e.textContent="no connection",g("load",HTMLParagraphElement).textContent=""}var Fe=g("read",HTMLButtonElement),Xn=g("cancel",HTMLButtonElement),Ws=g("token",HTMLInputElement),Ks=Os(location.origin,{attempts:1,interceptors:[e=>t=>(Ws.value&&
t.header.set("authorization",`Bearer ${Ws.value}`),e(t))]}),Pc=new vt,Wn=new xt(De),fe=new At(De),Rt=new Tt(Pc,e=>fe.namesOf(e)),$s,ee;function De(){let e=Wn.files.
length>0&&fe.isReady&&$s?.state===2;Fe.disabled=!e||ee!==void 0,Fe.hidden=ee!==void 0,Xn.hidden=ee===void 0}function Xc(e){$s=e,e&&(fe.offer(e),Wc(e),Zs(e)),De()}
function Wc(e){let t=e.capabilities?.mediaTypes??[];if(t.length>0){g("files",HTMLInputElement).accept=t.join(",");let o=t.map(s=>s.replace(/^.*\//,"").replace(/\+.*$/,
"").toUpperCase());g("accepted-types",HTMLSpanElement).textContent=`${o.join(", ")}; all pages are one document`}let n=g("max-output-tokens",HTMLInputElement);n.
placeholder=n.max=String(e.limits?.maxOutputTokens??"");let r=g("max-tiles",HTMLInputElement);r.placeholder=r.max=String(e.limits?.maxTilesPerPage??"")}function Vt(e){
let{value:t}=g(e,HTMLInputElement);return t===""?void 0:Number(t)}function Kc(){let e=Vt("max-output-tokens"),t=Vt("max-tiles"),n=Vt("temperature"),r={...e!==void 0&&
{maxOutputTokens:e},...t!==void 0&&{maxTilesPerPage:t},...n!==void 0&&{temperature:n}};return{files:Wn.files,generation:r,...fe.what}}async function Kn(){if(Fe.
disabled)return;let e=new AbortController;ee=e,De(),Xn.focus({preventScroll:!0}),_s(),Rt.begin(fe.names);let t=matchMedia("(max-width: 52rem)").matches;g("answe\
r",HTMLElement).scrollIntoView({block:t?"start":"nearest"});let n=Vt("timeout"),r={signal:e.signal,...n!==void 0&&{timeoutMs:n*1e3}};try{for await(let o of Ks.stream(
Kc(),r))Rt.show(o)}catch(o){e.signal.aborted?Rt.stop("Cancelled. The server has stopped reading."):(Rt.stop("It failed."),Gs(D.from(o),()=>{Kn()}))}finally{ee=void 0,
De(),Fe.focus({preventScroll:!0})}}async function $c(e){let t=await fetch(`/samples/${e}.png`);Wn.replace([new File([await t.blob()],`${e}.png`,{type:"image/png"})]);
let n=e.replaceAll("-","_").toUpperCase();fe.select(j[n])}Xn.addEventListener("click",()=>ee?.abort());g("ask",HTMLFormElement).addEventListener("submit",e=>{e.
preventDefault(),Kn()});document.addEventListener("keydown",e=>{e.key==="Escape"&&ee?.abort(),e.key==="Enter"&&(e.ctrlKey||e.metaKey)&&!Fe.disabled&&Kn()});for(let e of document.
querySelectorAll("[data-sample]"))e.addEventListener("click",()=>{$c(e.dataset.sample??"")});Xs(Ks,Xc);
