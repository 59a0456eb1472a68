// Generated from clients/web/playground by `npm run generate`: do not edit.
function be(e,t){return e!==null&&typeof e=="object"&&"$typeName"in e&&typeof e.$typeName=="string"?t===void 0?!0:t.typeName===e.$typeName:!1}var l;(function(e){e[e.DOUBLE=1]="DOUBLE",e[e.FLOAT=2]="FLOAT",e[e.INT64=3]="INT64",e[e.UINT64=4]="UINT64",e[e.INT32=5]="INT32",e[e.FIXED64=6]="FIXED64",e[e.FIXED32=
7]="FIXED32",e[e.BOOL=8]="BOOL",e[e.STRING=9]="STRING",e[e.BYTES=12]="BYTES",e[e.UINT32=13]="UINT32",e[e.SFIXED32=15]="SFIXED32",e[e.SFIXED64=16]="SFIXED64",e[e.
SINT32=17]="SINT32",e[e.SINT64=18]="SINT64"})(l||(l={}));function nr(){let e=this.buf,t=this.pos,n=0,r=0;for(let s=0;s<28;s+=7){let a=e[t++];if(n|=(a&127)<<s,(a&128)==0){this.pos=t,this.assertBounds(),this.varint64Lo=
n,this.varint64Hi=r;return}}let o=e[t++];if(n|=(o&15)<<28,r=(o&112)>>4,(o&128)==0){this.pos=t,this.assertBounds(),this.varint64Lo=n,this.varint64Hi=r;return}for(let s=3;s<=
31;s+=7){let a=e[t++];if(r|=(a&127)<<s,(a&128)==0){this.pos=t,this.assertBounds(),this.varint64Lo=n,this.varint64Hi=r;return}}throw new Error("invalid varint")}var Be=4294967296;function kt(e){let t=e[0]==="-";t&&(e=e.slice(1));let n=1e6,r=0,o=0;function s(a,i){let c=Number(e.slice(a,i));o*=n,r=r*n+c,r>=Be&&(o=o+(r/Be|
0),r=r%Be)}return s(-24,-18),s(-18,-12),s(-12,-6),s(-6),t?or(r,o):Ot(r,o)}function rr(e,t){let n=Ot(e,t),r=n.hi&2147483648;r&&(n=or(n.lo,n.hi));let o=Mt(n.lo,n.
hi);return r?"-"+o:o}function Mt(e,t){if({lo:e,hi:t}=ra(e,t),t<=2097151)return String(Be*t+e);let n=e&16777215,r=(e>>>24|t<<8)&16777215,o=t>>16&65535,s=n+r*6777216+
o*6710656,a=r+o*8147497,i=o*2,c=1e7;return s>=c&&(a+=Math.floor(s/c),s%=c),a>=c&&(i+=Math.floor(a/c),a%=c),i.toString()+tr(a)+tr(s)}function ra(e,t){return{lo:e>>>
0,hi:t>>>0}}function Ot(e,t){return{lo:e|0,hi:t|0}}function or(e,t){return t=~t,e?e=~e+1:t+=1,Ot(e,t)}var tr=e=>{let t=String(e);return"0000000".slice(t.length)+
t};function sr(e,t){if(e>>>0<128){t.push(e);return}if(e>=0){for(;e>127;)t.push(e&127|128),e=e>>>7;t.push(e)}else{for(let n=0;n<9;n++)t.push(e&127|128),e=e>>7;t.
push(1)}}function ar(){let e=this.buf[this.pos++];if((e&128)===0)return this.assertBounds(),e;let t=e&127;if(e=this.buf[this.pos++],t|=(e&127)<<7,(e&128)===0)return this.
assertBounds(),t;if(e=this.buf[this.pos++],t|=(e&127)<<14,(e&128)===0)return this.assertBounds(),t;if(e=this.buf[this.pos++],t|=(e&127)<<21,(e&128)===0)return this.
assertBounds(),t;e=this.buf[this.pos++],t|=(e&15)<<28;for(let n=5;(e&128)!==0&&n<10;n++)e=this.buf[this.pos++];if((e&128)!==0)throw new Error("invalid varint");
return this.assertBounds(),t>>>0}var x=oa();function oa(){let e=new DataView(new ArrayBuffer(8));if(typeof BigInt=="function"&&typeof e.getBigInt64=="function"&&typeof e.getBigUint64=="function"&&
typeof e.setBigInt64=="function"&&typeof e.setBigUint64=="function"&&(!!globalThis.Deno||!!globalThis.Bun||typeof process!="object"||typeof process.env!="object"||
process.env.BUF_BIGINT_DISABLE!=="1")){let n=BigInt("-9223372036854775808"),r=BigInt("9223372036854775807"),o=BigInt("0"),s=BigInt("18446744073709551615");return{
zero:BigInt(0),supported:!0,parse(a){let i=typeof a=="bigint"?a:BigInt(a);if(i>r||i<n)throw new Error(`invalid int64: ${a}`);return i},uParse(a){let i=typeof a==
"bigint"?a:BigInt(a);if(i>s||i<o)throw new Error(`invalid uint64: ${a}`);return i},enc(a){return e.setBigInt64(0,this.parse(a),!0),{lo:e.getInt32(0,!0),hi:e.getInt32(
4,!0)}},uEnc(a){return e.setBigInt64(0,this.uParse(a),!0),{lo:e.getInt32(0,!0),hi:e.getInt32(4,!0)}},dec(a,i){return e.setInt32(0,a,!0),e.setInt32(4,i,!0),e.getBigInt64(
0,!0)},uDec(a,i){return e.setInt32(0,a,!0),e.setInt32(4,i,!0),e.getBigUint64(0,!0)}}}return{zero:"0",supported:!1,parse(n){return typeof n!="string"&&(n=n.toString()),
ir(n),n},uParse(n){return typeof n!="string"&&(n=n.toString()),cr(n),n},enc(n){return typeof n!="string"&&(n=n.toString()),ir(n),kt(n)},uEnc(n){return typeof n!=
"string"&&(n=n.toString()),cr(n),kt(n)},dec(n,r){return rr(n,r)},uDec(n,r){return Mt(n,r)}}}function ir(e){if(!/^-?[0-9]+$/.test(e))throw new Error("invalid int\
64: "+e)}function cr(e){if(!/^[0-9]+$/.test(e))throw new Error("invalid uint64: "+e)}function k(e,t){switch(e){case l.STRING:return"";case l.BOOL:return!1;case l.DOUBLE:case l.FLOAT:return 0;case l.INT64:case l.UINT64:case l.SFIXED64:case l.FIXED64:case l.
SINT64:return t?"0":x.zero;case l.BYTES:return new Uint8Array(0);default:return 0}}function ur(e,t){switch(e){case l.BOOL:return t===!1;case l.STRING:return t===
"";case l.BYTES:return t instanceof Uint8Array&&!t.byteLength;case l.DOUBLE:case l.FLOAT:return Object.is(t,0);default:return t==0}}var lr=2,U=Symbol.for("reflect unsafe local");function mr(e,t){let n=e[t.localName].case;return n===void 0?n:t.fields.find(r=>r.localName===n)}function dr(e,t){
let n=t.localName;if(t.oneof)return e[t.oneof.localName].case===n;if(t.presence!=lr)return e[n]!==void 0&&Object.prototype.hasOwnProperty.call(e,n);switch(t.fieldKind){case"\
list":return e[n].length>0;case"map":return Object.keys(e[n]).length>0;case"scalar":return!ur(t.scalar,e[n]);case"enum":return e[n]!==t.enum.values[0].number}throw new Error(
"message field with implicit presence")}function z(e,t){return Object.prototype.hasOwnProperty.call(e,t)&&e[t]!==void 0}function fr(e,t){if(t.oneof){let n=e[t.oneof.
localName];return n.case===t.localName?n.value:void 0}return e[t.localName]}function pr(e,t,n){t.oneof?e[t.oneof.localName]={case:t.localName,value:n}:e[t.localName]=
n}function C(e,t,n){t==="__proto__"?Object.defineProperty(e,"__proto__",{value:n,writable:!0,enumerable:!0,configurable:!0}):e[t]=n}function hr(e,t){return Object.
prototype.hasOwnProperty.call(e,t)?e[t]:void 0}function gr(e,t){let n=t.localName;if(t.oneof){let r=t.oneof.localName;e[r].case===n&&(e[r]={case:void 0})}else if(t.
presence!=lr)delete e[n];else switch(t.fieldKind){case"map":e[n]={};break;case"list":e[n]=[];break;case"enum":e[n]=t.enum.values[0].number;break;case"scalar":e[n]=
k(t.scalar,t.longAsString);break}}function X(e){return e!==null&&typeof e=="object"&&!Array.isArray(e)}function ye(e,t){var n,r,o,s;if(X(e)&&U in e&&"add"in e&&"field"in e&&typeof e.field=="function"){if(t!==void 0){let a=t,i=e.field();return a.listKind==i.listKind&&
a.scalar===i.scalar&&((n=a.message)===null||n===void 0?void 0:n.typeName)===((r=i.message)===null||r===void 0?void 0:r.typeName)&&((o=a.enum)===null||o===void 0?
void 0:o.typeName)===((s=i.enum)===null||s===void 0?void 0:s.typeName)}return!0}return!1}function Ee(e,t){var n,r,o,s;if(X(e)&&U in e&&"has"in e&&"field"in e&&typeof e.
field=="function"){if(t!==void 0){let a=t,i=e.field();return a.mapKey===i.mapKey&&a.mapKind==i.mapKind&&a.scalar===i.scalar&&((n=a.message)===null||n===void 0?void 0:
n.typeName)===((r=i.message)===null||r===void 0?void 0:r.typeName)&&((o=a.enum)===null||o===void 0?void 0:o.typeName)===((s=i.enum)===null||s===void 0?void 0:s.
typeName)}return!0}return!1}function Ne(e,t){return X(e)&&U in e&&"desc"in e&&X(e.desc)&&e.desc.kind==="message"&&(t===void 0||e.desc.typeName==t.typeName)}function br(e){return yr(e.$typeName)}function G(e){let t=e.fields[0];return yr(e.typeName)&&t!==void 0&&t.fieldKind=="scalar"&&t.name=="value"&&t.number==1}function Ge(e){
switch(e.typeName){case"google.protobuf.Any":case"google.protobuf.Timestamp":case"google.protobuf.Duration":case"google.protobuf.FieldMask":case"google.protobuf\
.Struct":case"google.protobuf.Value":case"google.protobuf.ListValue":return!0;default:return G(e)}}var sa=new Set(["google.protobuf.DoubleValue","google.protobu\
f.FloatValue","google.protobuf.Int64Value","google.protobuf.UInt64Value","google.protobuf.Int32Value","google.protobuf.UInt32Value","google.protobuf.BoolValue",
"google.protobuf.StringValue","google.protobuf.BytesValue"]);function yr(e){return sa.has(e)}var aa=999,ia=998,Nr=2;function T(e,t){return be(t,e)?t:Sr(e)(t)}var Er=new WeakMap;function Sr(e){let t=Er.get(e);return t===void 0&&(t=ca(e),Er.set(e,t)),t}var Bt=0,
Ir=1,xr=2,vr=3;function ca(e){let t=e.typeName,{properties:n,prototype:r}=ua(e);return o=>{let s;r!==void 0?(s=Object.create(r),s.$typeName=t):s={$typeName:t};for(let a=0;a<
n.length;a++){let i=n[a],c=i.name,u=o?.[c];switch(i.kind){case Bt:u!=null?s[c]=i.convert!==void 0?i.convert(u):u:i.constant!==void 0&&(s[c]=i.constant);break;case Ir:
s[c]=i.convert!==void 0&&Array.isArray(u)?u.map(i.convert):u??[];break;case xr:if(i.convert===void 0||!X(u))s[c]=u??{};else{let m={},p=Object.keys(u);for(let h=0;h<
p.length;h++)C(m,p[h],i.convert(u[p[h]]));s[c]=m}break;case vr:{let m=u;if(m?.case!=null){let p=i.convert.get(m.case);if(p!==void 0){s[c]={case:m.case,value:p(m.
value)};break}}s[c]={case:void 0};break}}}return s}}function ua(e){var t,n;let r=[],o={},s=ma(e);for(let a of e.members){let i=a.localName;if(a.kind=="oneof"){r.
push({name:i,kind:vr,constant:void 0,convert:la(a)});continue}switch(a.fieldKind){case"message":{r.push({name:i,kind:Bt,constant:void 0,convert:_e(a)});break}case"\
list":{r.push({name:i,kind:Ir,constant:void 0,convert:a.listKind=="message"?(t=_e(a))!==null&&t!==void 0?t:(c=>c):a.scalar==l.BYTES?Se:void 0});break}case"map":{
r.push({name:i,kind:xr,constant:void 0,convert:a.mapKind=="message"?(n=_e(a))!==null&&n!==void 0?n:(c=>c):a.scalar==l.BYTES?Se:void 0});break}default:{let c=da(
a);r.push({name:i,kind:Bt,constant:a.presence==Nr?c:void 0,convert:a.fieldKind=="scalar"&&a.scalar==l.BYTES?Se:void 0}),s&&(o[i]=c);break}}}return{properties:r,
prototype:s?o:void 0}}function la(e){let t=new Map;for(let n of e.fields){let r;n.fieldKind=="message"?r=_e(n):n.fieldKind=="scalar"&&n.scalar==l.BYTES&&(r=Se),
t.set(n.localName,r??(o=>o))}return t}function _e(e){if(e.fieldKind=="message"&&!e.oneof&&G(e.message))return e.message.fields[0].scalar==l.BYTES?Se:void 0;if(e.
message.typeName=="google.protobuf.Struct"&&e.parent.typeName!=="google.protobuf.Value")return;let t=e.message,n;return r=>!X(r)||be(r,t)?r:(n??(n=Sr(t)),n(r))}
function Se(e){return Array.isArray(e)?new Uint8Array(e):e}function ma(e){switch(e.file.edition){case aa:return!1;case ia:return!0;default:return e.fields.some(
t=>t.presence!=Nr&&t.fieldKind!="message"&&!t.oneof)}}function da(e){let t=e.getDefaultValue();return t!==void 0?e.fieldKind=="scalar"&&e.longAsString?t.toString():
t:e.fieldKind=="scalar"?k(e.scalar,e.longAsString):e.enum.values[0].number}var fa=["FieldValueInvalidError","FieldListRangeError","ForeignFieldError"],v=class extends Error{constructor(t,n,r="FieldValueInvalidError"){super(n),this.name=
r,this.field=()=>t}};function Ar(e){return e instanceof Error&&fa.includes(e.name)&&"field"in e&&typeof e.field=="function"}var Gt;function pa(e){var t;Gt=Object.assign(Object.assign({},e),{encodeUtf8Into:(t=e.encodeUtf8Into)!==null&&t!==void 0?t:_t(e.encodeUtf8.bind(e))})}function Ie(){
if(!Gt){let e=globalThis;if(!e.TextEncoder||!e.TextDecoder)throw new Error("encoding API missing: install TextEncoder and TextDecoder on globalThis");let t=new e.
TextEncoder,n=new e.TextDecoder("utf-8",{ignoreBOM:!0}),r,o={encodeUtf8(a){return t.encode(a)},decodeUtf8(a,i){return i?(r||(r=new e.TextDecoder("utf-8",{fatal:!0,
ignoreBOM:!0})),r.decode(a)):n.decode(a)},checkUtf8(a){try{return encodeURIComponent(a),!0}catch{return!1}}};t.encodeInto&&(o.encodeUtf8Into=t.encodeInto.bind(t));
let s=String.prototype.isWellFormed;s&&(o.checkUtf8=a=>s.call(a)),pa(o)}return Gt}function _t(e){return(t,n)=>{let r=e(t);return n.set(r),{written:r.byteLength}}}var w;(function(e){e[e.Varint=0]="Varint",e[e.Bit64=1]="Bit64",e[e.LengthDelimited=2]="LengthDelimited",e[e.StartGroup=3]="StartGroup",e[e.EndGroup=4]="EndGroup",
e[e.Bit32=5]="Bit32"})(w||(w={}));var Yt=4294967295,Pt=2147483647,Wt=-2147483648,se=class{constructor(t){this.stackPos=[],this.encodeUtf8Into=t?_t(t):Ie().encodeUtf8Into,this.buffer=Tr,this.viewCache=
ga,this.pos=0}ensureCapacity(t){let n=this.pos+t;if(n>this.buffer.length){let r=this.buffer.length||ha;for(;r<n;)r*=2;let o=new Uint8Array(r);this.pos>0&&o.set(
this.buffer),this.buffer=o}}view(){let t=this.buffer,n=this.viewCache;if(n.byteLength===t.byteLength)return n;let r=new DataView(t.buffer);return this.viewCache=
r,r}finish(){let t=this.buffer.slice(0,this.pos);return this.pos=0,this.stackPos=[],t}fork(){return this.stackPos.push(this.pos),this.ensureCapacity(xe),this.buffer[this.
pos++]=0,this}join(){let t=this.stackPos.pop();if(t===void 0)throw new Error("invalid state, fork stack empty");let n=this.pos-t-xe,r=Zt(n);return r>xe&&(this.ensureCapacity(
r-xe),this.buffer.copyWithin(t+r,t+xe,this.pos)),this.pos=t,this.uint32(n),this.pos+=n,this}tag(t,n){return this.uint32((t<<3|n)>>>0)}raw(t){return this.ensureCapacity(
t.length),this.buffer.set(t,this.pos),this.pos+=t.length,this}uint32(t){if(wr(t),this.ensureCapacity(5),t<128)return this.buffer[this.pos++]=t,this;for(;t>127;)
this.buffer[this.pos++]=t&127|128,t>>>=7;return this.buffer[this.pos++]=t,this}int32(t){if(Xt(t),t>=0)return this.uint32(t);this.ensureCapacity(10);for(let n=0;n<
9;n++)this.buffer[this.pos++]=t&127|128,t>>=7;return this.buffer[this.pos++]=1,this}bool(t){return this.ensureCapacity(1),this.buffer[this.pos++]=t?1:0,this}bytes(t){
return this.uint32(t.byteLength),this.raw(t)}string(t){typeof t!="string"&&(t=String(t));let n=t.length;if(n<=Rr){this.ensureCapacity(n+1);let c=this.buffer,u=this.
pos;c[u++]=n;let m=0;for(;m<n;m++){let p=t.charCodeAt(m);if(p>127)break;c[u++]=p}if(m==n)return this.pos=u,this}this.ensureCapacity(n*3+5);let r=Zt(n),o=this.buffer,
s=this.pos,{written:a}=this.encodeUtf8Into(t,o.subarray(s+r)),i=Zt(a);return i!=r&&o.copyWithin(s+i,s+r,s+r+a),this.uint32(a),this.pos+=a,this}float(t){return ba(
t),this.ensureCapacity(4),this.view().setFloat32(this.pos,t,!0),this.pos+=4,this}double(t){return this.ensureCapacity(8),this.view().setFloat64(this.pos,t,!0),this.
pos+=8,this}fixed32(t){return wr(t),this.ensureCapacity(4),this.view().setUint32(this.pos,t,!0),this.pos+=4,this}sfixed32(t){return Xt(t),this.ensureCapacity(4),
this.view().setInt32(this.pos,t,!0),this.pos+=4,this}sint32(t){return Xt(t),this.uint32((t<<1^t>>31)>>>0)}sfixed64(t){let n=x.enc(t);this.ensureCapacity(8);let r=this.
view();return r.setInt32(this.pos,n.lo,!0),r.setInt32(this.pos+4,n.hi,!0),this.pos+=8,this}fixed64(t){let n=x.uEnc(t);this.ensureCapacity(8);let r=this.view();return r.
setInt32(this.pos,n.lo,!0),r.setInt32(this.pos+4,n.hi,!0),this.pos+=8,this}int64(t){let n=x.enc(t);return this.writeVarint64(n.lo,n.hi)}sint64(t){let n=x.enc(t),
r=n.hi>>31,o=n.lo<<1^r,s=(n.hi<<1|n.lo>>>31)^r;return this.writeVarint64(o,s)}uint64(t){let n=x.uEnc(t);return this.writeVarint64(n.lo,n.hi)}writeVarint64(t,n){
this.ensureCapacity(10);let r=this.buffer,o=this.pos;for(let i=0;i<28;i=i+7){let c=t>>>i,u=!(!(c>>>7)&&n==0);if(r[o++]=(u?c|128:c)&255,!u)return this.pos=o,this}
let s=t>>>28&15|(n&7)<<4,a=n>>3!=0;if(r[o++]=(a?s|128:s)&255,!a)return this.pos=o,this;for(let i=3;i<31;i=i+7){let c=n>>>i,u=!!(c>>>7);if(r[o++]=(u?c|128:c)&255,
!u)return this.pos=o,this}return r[o++]=n>>>31&1,this.pos=o,this}},ha=128,xe=1,Tr=new Uint8Array(0),ga=new DataView(Tr.buffer),Rr=32;function Zt(e){return e<128?
1:e<16384?2:e<2097152?3:e<268435456?4:5}var _=class{constructor(t,n=Ie().decodeUtf8){this.decodeUtf8=n,this.varint64Lo=0,this.varint64Hi=0,this.varint64=nr,this.
uint32=ar,this.buf=t,this.len=t.length,this.pos=0,this.view=new DataView(t.buffer,t.byteOffset,t.byteLength)}tag(){let t=this.pos,n=this.uint32(),r=this.pos-t;if(r>
5||r==5&&this.buf[this.pos-1]>15)throw new Error("illegal tag: varint overflows uint32");let o=n>>>3,s=n&7;if(o<=0||s>5)throw new Error("illegal tag: field no "+
o+" wire type "+s);return[o,s]}skip(t,n,r=100){let o=this.pos;switch(t){case w.Varint:for(;this.buf[this.pos++]&128;);break;case w.Bit64:this.pos+=4;case w.Bit32:
this.pos+=4;break;case w.LengthDelimited:let s=this.uint32();this.pos+=s;break;case w.StartGroup:if(r<=0)throw new Error("maximum recursion depth reached");for(;;){
let[a,i]=this.tag();if(i===w.EndGroup){if(n!==void 0&&a!==n)throw new Error("invalid end group tag");break}this.skip(i,a,r-1)}break;default:throw new Error("can\
t skip wire type "+t)}return this.assertBounds(),this.buf.subarray(o,this.pos)}assertBounds(){if(this.pos>this.len)throw new RangeError("premature EOF")}int32(){
return this.uint32()|0}sint32(){let t=this.uint32();return t>>>1^-(t&1)}int64(){return this.varint64(),x.dec(this.varint64Lo,this.varint64Hi)}uint64(){return this.
varint64(),x.uDec(this.varint64Lo,this.varint64Hi)}sint64(){this.varint64();let t=this.varint64Lo,n=this.varint64Hi,r=-(t&1);return t=(t>>>1|(n&1)<<31)^r,n=n>>>
1^r,x.dec(t,n)}bool(){let t=this.buf[this.pos];return t<128?(this.pos++,t!==0):(this.varint64(),this.varint64Lo!==0||this.varint64Hi!==0)}fixed32(){return this.
view.getUint32((this.pos+=4)-4,!0)}sfixed32(){return this.view.getInt32((this.pos+=4)-4,!0)}fixed64(){return x.uDec(this.sfixed32(),this.sfixed32())}sfixed64(){
return x.dec(this.sfixed32(),this.sfixed32())}float(){return this.view.getFloat32((this.pos+=4)-4,!0)}double(){return this.view.getFloat64((this.pos+=8)-8,!0)}bytes(){
let t=this.uint32(),n=this.pos;return this.pos+=t,this.assertBounds(),this.buf.subarray(n,n+t)}string(t){let n=this.uint32(),r=this.pos;this.pos+=n,this.assertBounds();
let o=this.buf;if(n<=Rr){let s=new Array(n);for(let a=0;a<n;a++){let i=o[r+a];if(i>127)return this.decodeUtf8(o.subarray(r,this.pos),t);s[a]=i}return String.fromCharCode.
apply(String,s)}return this.decodeUtf8(o.subarray(r,this.pos),t)}};function Xt(e){if(typeof e=="string")e=Number(e);else if(typeof e!="number")throw new Error("\
invalid int32: "+typeof e);if(!Number.isInteger(e)||e>Pt||e<Wt)throw new Error("invalid int32: "+e)}function wr(e){if(typeof e=="string")e=Number(e);else if(typeof e!=
"number")throw new Error("invalid uint32: "+typeof e);if(!Number.isInteger(e)||e>Yt||e<0)throw new Error("invalid uint32: "+e)}function ba(e){if(typeof e=="stri\
ng"){let t=e;if(e=Number(e),Number.isNaN(e)&&t!=="NaN")throw new Error("invalid float32: "+t)}else if(typeof e!="number")throw new Error("invalid float32: "+typeof e);
if(!Number.isFinite(Math.fround(e))&&Number.isFinite(e))throw new Error("invalid float32: "+e)}function Ze(e,t){let n=e.fieldKind=="list"?ye(t,e):e.fieldKind=="map"?Ee(t,e):$t(e,t);if(n===!0)return;let r;switch(e.fieldKind){case"list":r=`expected ${Lr(e)}\
, got ${F(t)}`;break;case"map":r=`expected ${Ur(e)}, got ${F(t)}`;break;default:r=Z(e,t,n)}return new v(e,r)}function Kt(e,t,n){let r=$t(e,n);if(r!==!0)return new v(
e,`list item #${t+1}: ${Z(e,n,r)}`)}function Vr(e,t,n){let r=K(e.mapKey)(t);if(r!==!0)return new v(e,`invalid map key: ${Z({scalar:e.mapKey},t,r)}`);let o=$t(e,
n);if(o!==!0)return new v(e,`map entry ${F(t)}: ${Z(e,n,o)}`)}function $t(e,t){return e.scalar!==void 0?K(e.scalar)(t):e.enum!==void 0?e.enum.open?K(l.INT32)(t):
e.enum.values.some(n=>n.number===t):Ne(t,e.message)}function K(e){switch(e){case l.DOUBLE:return t=>typeof t=="number";case l.FLOAT:return t=>typeof t!="number"?
!1:!Number.isFinite(Math.fround(t))&&Number.isFinite(t)?`${t.toFixed()} out of range`:!0;case l.INT32:case l.SFIXED32:case l.SINT32:return t=>typeof t!="number"||
!Number.isInteger(t)?!1:t>Pt||t<Wt?`${t.toFixed()} out of range`:!0;case l.FIXED32:case l.UINT32:return t=>typeof t!="number"||!Number.isInteger(t)?!1:t>Yt||t<0?
`${t.toFixed()} out of range`:!0;case l.BOOL:return t=>typeof t=="boolean";case l.STRING:return t=>typeof t!="string"?!1:Ie().checkUtf8(t)||"invalid UTF8";case l.
BYTES:return t=>t instanceof Uint8Array;case l.INT64:case l.SFIXED64:case l.SINT64:return t=>{if(typeof t=="bigint"||typeof t=="number"||typeof t=="string"&&t.length>
0)try{return x.parse(t),!0}catch{return`${t} out of range`}return!1};case l.FIXED64:case l.UINT64:return t=>{if(typeof t=="bigint"||typeof t=="number"||typeof t==
"string"&&t.length>0)try{return x.uParse(t),!0}catch{return`${t} out of range`}return!1}}}function Z(e,t,n){return n=typeof n=="string"?`: ${n}`:`, got ${F(t)}`,
e.scalar!==void 0?`expected ${ya(e.scalar)}`+n:e.enum!==void 0?`expected ${e.enum.toString()}`+n:`expected ${Fr(e.message)}`+n}function F(e){switch(typeof e){case"\
object":return e===null?"null":e instanceof Uint8Array?`Uint8Array(${e.length})`:Array.isArray(e)?`Array(${e.length})`:ye(e)?Lr(e.field()):Ee(e)?Ur(e.field()):Ne(
e)?Fr(e.desc):be(e)?`message ${e.$typeName}`:"object";case"string":return e.length>30?"string":`"${e.split('"').join('\\"')}"`;case"boolean":return String(e);case"\
number":return String(e);case"bigint":return String(e)+"n";default:return typeof e}}function Fr(e){return`ReflectMessage (${e.typeName})`}function Lr(e){switch(e.
listKind){case"message":return`ReflectList (${e.message.toString()})`;case"enum":return`ReflectList (${e.enum.toString()})`;case"scalar":return`ReflectList (${l[e.
scalar]})`}}function Ur(e){switch(e.mapKind){case"message":return`ReflectMap (${l[e.mapKey]}, ${e.message.toString()})`;case"enum":return`ReflectMap (${l[e.mapKey]}\
, ${e.enum.toString()})`;case"scalar":return`ReflectMap (${l[e.mapKey]}, ${l[e.scalar]})`}}function ya(e){switch(e){case l.STRING:return"string";case l.BOOL:return"\
boolean";case l.INT64:case l.SINT64:case l.SFIXED64:return"bigint (int64)";case l.UINT64:case l.FIXED64:return"bigint (uint64)";case l.BYTES:return"Uint8Array";case l.
DOUBLE:return"number (float64)";case l.FLOAT:return"number (float32)";case l.FIXED32:case l.UINT32:return"number (uint32)";case l.INT32:case l.SFIXED32:case l.SINT32:
return"number (int32)"}}var Ea=0;function O(e){if(Na(e))return{toMessage:n=>Xe(n),toLocal:n=>Ye(n)};if(e.fieldKind=="message"&&!e.oneof&&G(e.message)){let n=e.message,r=n.fields[0].localName;
return{toMessage:o=>{let s=T(n);return o!==void 0&&(s[r]=o),s},toLocal:o=>o[r]}}let t=e.message;return{toMessage:n=>n===void 0?T(t):n,toLocal:n=>n}}function Na(e){
return e.message.typeName=="google.protobuf.Struct"&&e.parent.typeName!="google.protobuf.Value"}function Xe(e){let t={$typeName:"google.protobuf.Struct",fields:{}};
if(X(e))for(let n of Object.keys(e))C(t.fields,n,Dr(e[n]));return t}function Ye(e){let t={};for(let n of Object.keys(e.fields))C(t,n,Cr(e.fields[n]));return t}function Cr(e){
switch(e.kind.case){case"structValue":return Ye(e.kind.value);case"listValue":return e.kind.value.values.map(Cr);case"nullValue":case void 0:return null;default:
return e.kind.value}}function Dr(e){let t={$typeName:"google.protobuf.Value",kind:{case:void 0}};switch(typeof e){case"number":t.kind={case:"numberValue",value:e};
break;case"string":t.kind={case:"stringValue",value:e};break;case"boolean":t.kind={case:"boolValue",value:e};break;case"object":if(e===null)t.kind={case:"nullVa\
lue",value:Ea};else if(Array.isArray(e)){let n={$typeName:"google.protobuf.ListValue",values:[]};if(Array.isArray(e))for(let r of e)n.values.push(Dr(r));t.kind=
{case:"listValue",value:n}}else t.kind={case:"structValue",value:Xe(e)};break}return t}function Br(e,t,n=!0){return new We(e,t,n)}var kr=new WeakMap,We=class{get sortedFields(){let t=kr.get(this.desc);if(t)return t;let n=this.desc.fields.concat().
sort((r,o)=>r.number-o.number);return kr.set(this.desc,n),n}constructor(t,n,r=!0){this.lists=new Map,this.maps=new Map,this.check=r,this.desc=t,this.message=this[U]=
n??T(t),this.fields=t.fields,this.oneofs=t.oneofs,this.members=t.members}findNumber(t){return this._fieldsByNumber||(this._fieldsByNumber=new Map(this.desc.fields.
map(n=>[n.number,n]))),this._fieldsByNumber.get(t)}oneofCase(t){return ve(this.message,t),mr(this.message,t)}isSet(t){return ve(this.message,t),dr(this.message,
t)}clear(t){ve(this.message,t),gr(this.message,t)}get(t){ve(this.message,t);let n=fr(this.message,t);switch(t.fieldKind){case"list":let r=this.lists.get(t);return(!r||
r[U]!==n)&&this.lists.set(t,r=new Qt(t,n,this.check)),r;case"map":let o=this.maps.get(t);return(!o||o[U]!==n)&&this.maps.set(t,o=new jt(t,n,this.check)),o;case"\
message":return qt(t,n,this.check);case"scalar":return n===void 0?k(t.scalar,!1):en(t,n);case"enum":return n??t.enum.values[0].number}}set(t,n){if(ve(this.message,
t),this.check){let o=Ze(t,n);if(o)throw o}let r;t.fieldKind=="message"?r=zt(t,n):Ee(n)||ye(n)?r=n[U]:r=tn(t,n),pr(this.message,t,r)}getUnknown(){return this.message.
$unknown}setUnknown(t){this.message.$unknown=t}};function ve(e,t){if(t.parent.typeName!==e.$typeName)throw new v(t,`cannot use ${t.toString()} with message ${e.
$typeName}`,"ForeignFieldError")}var Qt=class{field(){return this._field}get size(){return this._arr.length}constructor(t,n,r){this._field=t,this._arr=this[U]=n,this.check=r}get(t){let n=this._arr[t];
return n===void 0?void 0:Jt(this._field,n,this.check)}set(t,n){if(t<0||t>=this._arr.length)throw new v(this._field,`list item #${t+1}: out of range`);if(this.check){
let r=Kt(this._field,t,n);if(r)throw r}this._arr[t]=Mr(this._field,n)}add(t){if(this.check){let n=Kt(this._field,this._arr.length,t);if(n)throw n}this._arr.push(
Mr(this._field,t))}clear(){this._arr.splice(0,this._arr.length)}[Symbol.iterator](){return this.values()}keys(){return this._arr.keys()}*values(){for(let t of this.
_arr)yield Jt(this._field,t,this.check)}*entries(){for(let t=0;t<this._arr.length;t++)yield[t,Jt(this._field,this._arr[t],this.check)]}};var jt=class{constructor(t,n,r=!0){this.obj=this[U]=n??{},this.check=r,this._field=t}field(){return this._field}set(t,n){if(this.check){let r=Vr(this._field,t,n);
if(r)throw r}return C(this.obj,Pe(t),Sa(this._field,n)),this}delete(t){let n=Pe(t),r=Object.prototype.hasOwnProperty.call(this.obj,n);return r&&delete this.obj[n],
r}clear(){for(let t of Object.keys(this.obj))delete this.obj[t]}get(t){let n=hr(this.obj,Pe(t));return n!==void 0&&(n=Ht(this._field,n,this.check)),n}has(t){return Object.
prototype.hasOwnProperty.call(this.obj,Pe(t))}*keys(){for(let t of Object.keys(this.obj))yield Or(t,this._field.mapKey)}*entries(){for(let t of Object.entries(this.
obj))yield[Or(t[0],this._field.mapKey),Ht(this._field,t[1],this.check)]}[Symbol.iterator](){return this.entries()}get size(){return Object.keys(this.obj).length}*values(){
for(let t of Object.values(this.obj))yield Ht(this._field,t,this.check)}forEach(t,n){for(let r of this.entries())t.call(n,r[1],r[0],this)}};function zt(e,t){return Ne(
t)?br(t.message)&&!e.oneof&&e.fieldKind=="message"?t.message.value:t.desc.typeName=="google.protobuf.Struct"&&e.parent.typeName!="google.protobuf.Value"?Ye(t.message):
t.message:t}function qt(e,t,n){return t!==void 0&&(G(e.message)&&!e.oneof&&e.fieldKind=="message"?t={$typeName:e.message.typeName,value:en(e.message.fields[0],t)}:
e.message.typeName=="google.protobuf.Struct"&&e.parent.typeName!="google.protobuf.Value"&&X(t)&&(t=Xe(t))),new We(e.message,t,n)}function Mr(e,t){return e.listKind==
"message"?zt(e,t):tn(e,t)}function Jt(e,t,n){return e.listKind=="message"?qt(e,t,n):en(e,t)}function Sa(e,t){return e.mapKind=="message"?zt(e,t):tn(e,t)}function Ht(e,t,n){
return e.mapKind=="message"?qt(e,t,n):t}function Pe(e){return typeof e=="string"||typeof e=="number"?e:String(e)}function Or(e,t){switch(t){case l.STRING:return e;case l.
INT32:case l.FIXED32:case l.UINT32:case l.SFIXED32:case l.SINT32:{let n=Number.parseInt(e);if(Number.isFinite(n))return n;break}case l.BOOL:switch(e){case"true":
return!0;case"false":return!1}break;case l.UINT64:case l.FIXED64:try{return x.uParse(e)}catch{}break;default:try{return x.parse(e)}catch{}break}return e}function en(e,t){
switch(e.scalar){case l.INT64:case l.SFIXED64:case l.SINT64:"longAsString"in e&&e.longAsString&&typeof t=="string"&&(t=x.parse(t));break;case l.FIXED64:case l.UINT64:
"longAsString"in e&&e.longAsString&&typeof t=="string"&&(t=x.uParse(t));break}return t}function tn(e,t){switch(e.scalar){case l.INT64:case l.SFIXED64:case l.SINT64:
"longAsString"in e&&e.longAsString?t=String(t):(typeof t=="string"||typeof t=="number")&&(t=x.parse(t));break;case l.FIXED64:case l.UINT64:"longAsString"in e&&e.
longAsString?t=String(t):(typeof t=="string"||typeof t=="number")&&(t=x.uParse(t));break}return t}var Gr=Uint8Array.prototype.setFromBase64;function ie(e){let t=e.length,n=t-(t+3>>2);(t&3)==0&&e[t-1]=="="&&(n-=e[t-2]=="="?2:1);let r=new Uint8Array(n),o=-1;if(Gr)
try{let s=Gr.call(r,e);s.read==t&&(o=s.written)}catch{}return o<0&&(o=Ia(r,e)),o==n?r:r.subarray(0,o)}function Ia(e,t){let n=va(),r=0,o=0,s,a=0;for(let i=0;i<t.
length;i++){if(s=n[t.charCodeAt(i)],s===void 0)switch(t[i]){case"=":o=0;case`
`:case"\r":case"	":case" ":continue;default:throw Error("invalid base64 string")}switch(o){case 0:a=s,o=1;break;case 1:e[r++]=a<<2|(s&48)>>4,a=s,o=2;break;case 2:
e[r++]=(a&15)<<4|(s&60)>>2,a=s,o=3;break;case 3:e[r++]=(a&3)<<6|s,o=0;break}}if(o==1)throw Error("invalid base64 string");return r}var _r=Uint8Array.prototype.toBase64,
xa={std:{alphabet:"base64",omitPadding:!1},std_raw:{alphabet:"base64",omitPadding:!0},url:{alphabet:"base64url",omitPadding:!0}};function nn(e,t="std"){if(_r)return _r.
call(e,xa[t]);let n=Xr(t),r=t=="std",o="",s=0,a,i=0;for(let c=0;c<e.length;c++)switch(a=e[c],s){case 0:o+=n[a>>2],i=(a&3)<<4,s=1;break;case 1:o+=n[i|a>>4],i=(a&
15)<<2,s=2;break;case 2:o+=n[i|a>>6],o+=n[a&63],s=0;break}return s&&(o+=n[i],r&&(o+="=",s==1&&(o+="="))),o}var Ke,Zr,ae;function Xr(e){return Ke||(Ke="ABCDEFGHI\
JKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".split(""),Zr=Ke.slice(0,-2).concat("-","_")),e=="url"?Zr:Ke}function va(){if(!ae){ae=[];let e=Xr("std");
for(let t=0;t<e.length;t++)ae[e[t].charCodeAt(0)]=t;ae[45]=e.indexOf("+"),ae[95]=e.indexOf("/")}return ae}function $(e){let t=!1,n=[];for(let r=0;r<e.length;r++){let o=e.charAt(r);switch(o){case"_":t=!0;break;case"0":case"1":case"2":case"3":case"4":case"5":case"6":case"\
7":case"8":case"9":n.push(o),t=!1;break;default:t&&(t=!1,o=o.toUpperCase()),n.push(o);break}}return n.join("")}function $e(e){return e.replace(/[A-Z]/g,t=>"_"+t.
toLowerCase())}var Aa=new Set(["constructor","toString","toJSON","valueOf"]);function ce(e){return Aa.has(e)?e+"$":e}function Ae(e){for(let t of e.field)z(t,"jsonName")||(t.jsonName=$(t.name));e.nestedType.forEach(Ae)}function Yr(e,t){let n=e.values.find(r=>r.name===t);if(!n)throw new Error(`cannot parse ${e} default value: ${t}`);return n.number}function Pr(e,t){switch(e){case l.
STRING:return t;case l.BYTES:{let n=wa(t);if(n===!1)throw new Error(`cannot parse ${l[e]} default value: ${t}`);return n}case l.INT64:case l.SFIXED64:case l.SINT64:
return x.parse(t);case l.UINT64:case l.FIXED64:return x.uParse(t);case l.DOUBLE:case l.FLOAT:switch(t){case"inf":return Number.POSITIVE_INFINITY;case"-inf":return Number.
NEGATIVE_INFINITY;case"nan":return Number.NaN;default:return parseFloat(t)}case l.BOOL:return t==="true";case l.INT32:case l.UINT32:case l.SINT32:case l.FIXED32:case l.
SFIXED32:return parseInt(t,10)}}function wa(e){let t=[],n={tail:e,c:"",next(){return this.tail.length==0?!1:(this.c=this.tail[0],this.tail=this.tail.substring(1),
!0)},take(r){if(this.tail.length>=r){let o=this.tail.substring(0,r);return this.tail=this.tail.substring(r),o}return!1}};for(;n.next();)switch(n.c){case"\\":if(n.
next())switch(n.c){case"\\":t.push(n.c.charCodeAt(0));break;case"b":t.push(8);break;case"f":t.push(12);break;case"n":t.push(10);break;case"r":t.push(13);break;case"\
t":t.push(9);break;case"v":t.push(11);break;case"0":case"1":case"2":case"3":case"4":case"5":case"6":case"7":{let r=n.c,o=n.take(2);if(o===!1)return!1;let s=parseInt(
r+o,8);if(Number.isNaN(s))return!1;t.push(s);break}case"x":{let r=n.c,o=n.take(2);if(o===!1)return!1;let s=parseInt(r+o,16);if(Number.isNaN(s))return!1;t.push(s);
break}case"u":{let r=n.c,o=n.take(4);if(o===!1)return!1;let s=parseInt(r+o,16);if(Number.isNaN(s))return!1;let a=new Uint8Array(4);new DataView(a.buffer).setInt32(
0,s,!0),t.push(a[0],a[1],a[2],a[3]);break}case"U":{let r=n.c,o=n.take(8);if(o===!1)return!1;let s=x.uEnc(r+o),a=new Uint8Array(8),i=new DataView(a.buffer);i.setInt32(
0,s.lo,!0),i.setInt32(4,s.hi,!0),t.push(a[0],a[1],a[2],a[3],a[4],a[5],a[6],a[7]);break}}break;default:t.push(n.c.charCodeAt(0))}return new Uint8Array(t)}function*Je(e){switch(e.kind){case"file":for(let t of e.messages)yield t,yield*Je(t);yield*e.enums,yield*e.services,yield*e.extensions;break;case"message":for(let t of e.
nestedMessages)yield t,yield*Je(t);yield*e.nestedEnums,yield*e.nestedExtensions;break}}function He(e,t){return Ta([e,t])}function Ta(e,t){let n=Ra();if(!e.length)return n;if("$typeName"in e[0]&&e[0].$typeName=="google.protobuf.FileDescriptorSet"){
for(let r of e[0].file)t?.(r),Jr(r,n);return n}if("$typeName"in e[0]){let a=function(i){let c=[];for(let u of i.dependency){if(n.getFile(u)!=null||s.has(u))continue;
let m=o(u);if(!m)throw new Error(`Unable to resolve ${u}, imported by ${i.name}`);"kind"in m?n.addFile(m,!1,!0):(s.add(m.name),c.push(m))}return c.concat(...c.map(
a))},r=e[0],o=e[1],s=new Set;for(let i of[r,...a(r)].reverse())t?.(i),Jr(i,n)}else for(let r of e)for(let o of r.files)n.addFile(o);return n}function Ra(){let e=new Map,t=new Map,n=new Map;return{kind:"registry",types:e,extendees:t,[Symbol.iterator](){return e.values()},get files(){return n.values()},
addFile(r,o,s){if(n.set(r.proto.name,r),!o)for(let a of Je(r))this.add(a);if(s)for(let a of r.dependencies)this.addFile(a,o,s)},add(r){if(r.kind=="extension"){let o=t.
get(r.extendee.typeName);o||t.set(r.extendee.typeName,o=new Map),o.set(r.number,r)}e.set(r.typeName,r)},get(r){return e.get(r)},getFile(r){return n.get(r)},getMessage(r){
let o=e.get(r);return o?.kind=="message"?o:void 0},getEnum(r){let o=e.get(r);return o?.kind=="enum"?o:void 0},getExtension(r){let o=e.get(r);return o?.kind=="ex\
tension"?o:void 0},getExtensionFor(r,o){var s;return(s=t.get(r.typeName))===null||s===void 0?void 0:s.get(o)},getService(r){let o=e.get(r);return o?.kind=="serv\
ice"?o:void 0}}}var Va=998,Fa=999,La=9999,Ua=9,Te=10,we=11,Ca=12,Wr=14,cn=3,Da=2,Kr=1,ka=0,rn=1,$r=2,Ma=3,Oa=1,Ba=2,Ga=1,_a=2;var Za=1002,Qr={998:{fieldPresence:1,enumType:2,repeatedFieldEncoding:2,utf8Validation:3,messageEncoding:1,jsonFormat:2,enforceNamingStyle:2,defaultSymbolVisibility:1,
enforceProtoLimits:1},999:{fieldPresence:2,enumType:1,repeatedFieldEncoding:1,utf8Validation:2,messageEncoding:1,jsonFormat:1,enforceNamingStyle:2,defaultSymbolVisibility:1,
enforceProtoLimits:1},1e3:{fieldPresence:1,enumType:1,repeatedFieldEncoding:1,utf8Validation:2,messageEncoding:1,jsonFormat:1,enforceNamingStyle:2,defaultSymbolVisibility:1,
enforceProtoLimits:1},1001:{fieldPresence:1,enumType:1,repeatedFieldEncoding:1,utf8Validation:2,messageEncoding:1,jsonFormat:1,enforceNamingStyle:1,defaultSymbolVisibility:2,
enforceProtoLimits:1},1002:{fieldPresence:1,enumType:1,repeatedFieldEncoding:1,utf8Validation:2,messageEncoding:1,jsonFormat:1,enforceNamingStyle:3,defaultSymbolVisibility:4,
enforceProtoLimits:2}};function Jr(e,t){var n,r;let o={kind:"file",proto:e,deprecated:(r=(n=e.options)===null||n===void 0?void 0:n.deprecated)!==null&&r!==void 0?
r:!1,edition:Wa(e),name:e.name.replace(/\.proto$/,""),dependencies:Ka(e,t),enums:[],messages:[],extensions:[],services:[],toString(){return`file ${e.name}`}},s=new Map,
a={get(i){return s.get(i)},add(i){var c;Y(((c=i.proto.options)===null||c===void 0?void 0:c.mapEntry)===!0),s.set(i.typeName,i)}};for(let i of e.enumType)jr(i,o,
void 0,t);for(let i of e.messageType)zr(i,o,void 0,t,a);for(let i of e.service)Xa(i,o,t);on(o,t);for(let i of s.values())sn(i,t,a);for(let i of o.messages)sn(i,
t,a),on(i,t);t.addFile(o,!0)}function on(e,t){switch(e.kind){case"file":for(let n of e.proto.extension){let r=an(n,e,t);e.extensions.push(r),t.add(r)}break;case"\
message":for(let n of e.proto.extension){let r=an(n,e,t);e.nestedExtensions.push(r),t.add(r)}for(let n of e.nestedMessages)on(n,t);break}}function sn(e,t,n){let r=e.
proto.oneofDecl.map(s=>Pa(s,e)),o=new Set;for(let s of e.proto.field){let a=Qa(s,r),i=an(s,e,t,a,n);e.fields.push(i),e.field[i.localName]=i,a===void 0?e.members.
push(i):(a.fields.push(i),o.has(a)||(o.add(a),e.members.push(a)))}for(let s of r.filter(a=>o.has(a)))e.oneofs.push(s);for(let s of e.nestedMessages)sn(s,t,n)}function jr(e,t,n,r){
var o,s,a,i,c,u,m,p,h;let d=$a(e.name,e.value),f={kind:"enum",proto:e,deprecated:(s=(o=e.options)===null||o===void 0?void 0:o.deprecated)!==null&&s!==void 0?s:!1,
file:t,parent:n,open:!0,name:e.name,typeName:Qe(e,n,t),value:{},values:[],sharedPrefix:d,toString(){return`enum ${this.typeName}`}};f.open=ei(f),r.add(f);for(let b of e.
value){let E=b.name,S={kind:"enum_value",proto:b,deprecated:(i=(a=b.options)===null||a===void 0?void 0:a.deprecated)!==null&&i!==void 0?i:!1,parent:f,name:E,localName:ce(
d==null?E:E.substring(d.length)),number:b.number,jsonName:(c=Ja(b))!==null&&c!==void 0?c:E,toString(){return`enum value ${f.typeName}.${E}`}};f.values.push(S),(u=
(p=f.value)[h=b.number])!==null&&u!==void 0||(p[h]=S)}((m=n?.nestedEnums)!==null&&m!==void 0?m:t.enums).push(f)}function zr(e,t,n,r,o){var s,a,i,c;let u={kind:"\
message",proto:e,deprecated:(a=(s=e.options)===null||s===void 0?void 0:s.deprecated)!==null&&a!==void 0?a:!1,file:t,parent:n,name:e.name,typeName:Qe(e,n,t),fields:[],
field:{},oneofs:[],members:[],nestedEnums:[],nestedMessages:[],nestedExtensions:[],toString(){return`message ${this.typeName}`}};((i=e.options)===null||i===void 0?
void 0:i.mapEntry)===!0?o.add(u):(((c=n?.nestedMessages)!==null&&c!==void 0?c:t.messages).push(u),r.add(u));for(let m of e.enumType)jr(m,t,u,r);for(let m of e.nestedType)
zr(m,t,u,r,o)}function Xa(e,t,n){var r,o;let s={kind:"service",proto:e,deprecated:(o=(r=e.options)===null||r===void 0?void 0:r.deprecated)!==null&&o!==void 0?o:
!1,file:t,name:e.name,typeName:Qe(e,void 0,t),methods:[],method:{},toString(){return`service ${this.typeName}`}};t.services.push(s),n.add(s);for(let a of e.method){
let i=Ya(a,s,n);s.methods.push(i),s.method[i.localName]=i}}function Ya(e,t,n){var r,o,s,a;let i;e.clientStreaming&&e.serverStreaming?i="bidi_streaming":e.clientStreaming?
i="client_streaming":e.serverStreaming?i="server_streaming":i="unary";let c=n.getMessage(J(e.inputType)),u=n.getMessage(J(e.outputType));Y(c,`invalid MethodDesc\
riptorProto: input_type ${e.inputType} not found`),Y(u,`invalid MethodDescriptorProto: output_type ${e.inputType} not found`);let m=e.name;return{kind:"rpc",proto:e,
deprecated:(o=(r=e.options)===null||r===void 0?void 0:r.deprecated)!==null&&o!==void 0?o:!1,parent:t,name:m,localName:ce(m.length?ce(m[0].toLowerCase()+m.substring(
1)):m),methodKind:i,input:c,output:u,idempotency:(a=(s=e.options)===null||s===void 0?void 0:s.idempotencyLevel)!==null&&a!==void 0?a:ka,toString(){return`rpc ${t.
typeName}.${m}`}}}function Pa(e,t){return{kind:"oneof",proto:e,deprecated:!1,parent:t,fields:[],name:e.name,localName:ce($(e.name)),toString(){return`oneof ${t.
typeName}.${this.name}`}}}function an(e,t,n,r,o){var s,a,i;let c=o===void 0,u={kind:"field",proto:e,deprecated:(a=(s=e.options)===null||s===void 0?void 0:s.deprecated)!==
null&&a!==void 0?a:!1,name:e.name,number:e.number,scalar:void 0,message:void 0,enum:void 0,presence:ja(e,r,c,t),utf8Validation:ti(e,t),listKind:void 0,mapKind:void 0,
mapKey:void 0,delimitedEncoding:void 0,packed:void 0,longAsString:!1,getDefaultValue:void 0},m;if(c){let f=t.kind=="file"?t:t.file,b=t.kind=="file"?void 0:t,E=Qe(
e,b,f);u.kind="extension",u.file=f,u.parent=b,u.oneof=void 0,u.typeName=E,u.jsonName=`[${E}]`,m=()=>`extension ${E}`;let S=n.getMessage(J(e.extendee));Y(S,`inva\
lid FieldDescriptorProto: extendee ${e.extendee} not found`),u.extendee=S}else{let f=t;Y(f.kind=="message"),u.parent=f,u.oneof=r,u.localName=r?$(e.name):ce($(e.
name)),u.jsonName=e.jsonName,m=()=>`field ${f.typeName}.${e.name}`}Object.defineProperty(u,"toString",{value:m,writable:!0,enumerable:!0,configurable:!0});let p=e.
label,h=e.type,d=(i=e.options)===null||i===void 0?void 0:i.jstype;if(p===cn){let f=h==we?o?.get(J(e.typeName)):void 0;if(f){u.fieldKind="map";let{key:b,value:E}=qa(
f);return u.mapKey=b.scalar,u.mapKind=E.fieldKind,u.message=E.message,u.delimitedEncoding=!1,u.enum=E.enum,u.scalar=E.scalar,u}switch(u.fieldKind="list",h){case we:case Te:
u.listKind="message",u.message=n.getMessage(J(e.typeName)),Y(u.message),u.delimitedEncoding=Hr(e,t);break;case Wr:u.listKind="enum",u.enum=n.getEnum(J(e.typeName)),
Y(u.enum);break;default:u.listKind="scalar",u.scalar=h,u.longAsString=d==Kr;break}return u.packed=za(e,t),u}switch(h){case we:case Te:u.fieldKind="message",u.message=
n.getMessage(J(e.typeName)),Y(u.message,`invalid FieldDescriptorProto: type_name ${e.typeName} not found`),u.delimitedEncoding=Hr(e,t),u.getDefaultValue=()=>{};
break;case Wr:{let f=n.getEnum(J(e.typeName));Y(f!==void 0,`invalid FieldDescriptorProto: type_name ${e.typeName} not found`),u.fieldKind="enum",u.enum=n.getEnum(
J(e.typeName)),u.getDefaultValue=()=>z(e,"defaultValue")?Yr(f,e.defaultValue):void 0;break}default:{u.fieldKind="scalar",u.scalar=h,u.longAsString=d==Kr,u.getDefaultValue=
()=>z(e,"defaultValue")?Pr(h,e.defaultValue):void 0;break}}return u}function Wa(e){switch(e.syntax){case"":case"proto2":return Va;case"proto3":return Fa;case"ed\
itions":if(e.edition===La)return Za;if(e.edition in Qr)return e.edition;throw new Error(`${e.name}: unsupported edition`);default:throw new Error(`${e.name}: un\
supported syntax "${e.syntax}"`)}}function Ka(e,t){return e.dependency.map(n=>{let r=t.getFile(n);if(!r)throw new Error(`Cannot find ${n}, imported by ${e.name}`);
return r})}function $a(e,t){let n=Ha(e)+"_";for(let r of t){if(!r.name.toLowerCase().startsWith(n))return;let o=r.name.substring(n.length);if(o.length==0||/^\d/.
test(o))return}return n}function Ja(e){var t,n;let s;for(let a of(n=(t=e.options)===null||t===void 0?void 0:t.$unknown)!==null&&n!==void 0?n:[]){if(a.no!==998||
a.wireType!==w.LengthDelimited)continue;let i=new _(new _(a.data).bytes());for(;i.pos<i.len;){let[c,u]=i.tag();c===1&&u===w.LengthDelimited?s=i.string():i.skip(
u,c)}}return s}function Ha(e){return(e.substring(0,1)+e.substring(1).replace(/[A-Z]/g,t=>"_"+t)).toLowerCase()}function Qe(e,t,n){let r;return t?r=`${t.typeName}\
.${e.name}`:n.proto.package.length>0?r=`${n.proto.package}.${e.name}`:r=`${e.name}`,r}function J(e){return e.startsWith(".")?e.substring(1):e}function Qa(e,t){if(!z(
e,"oneofIndex")||e.proto3Optional)return;let n=t[e.oneofIndex];return Y(n,`invalid FieldDescriptorProto: oneof #${e.oneofIndex} for field #${e.number} not found`),
n}function ja(e,t,n,r){if(e.label==Da)return Ma;if(e.label==cn)return $r;if(t||e.proto3Optional||n)return rn;let o=q("fieldPresence",{proto:e,parent:r});return o==
$r&&(e.type==we||e.type==Te)?rn:o}function za(e,t){if(e.label!=cn)return!1;switch(e.type){case Ua:case Ca:case Te:case we:return!1}let n=e.options;return n&&z(n,
"packed")?n.packed:Oa==q("repeatedFieldEncoding",{proto:e,parent:t})}function qa(e){let t=e.fields.find(r=>r.number===1),n=e.fields.find(r=>r.number===2);return Y(
t&&t.fieldKind=="scalar"&&t.scalar!=l.BYTES&&t.scalar!=l.FLOAT&&t.scalar!=l.DOUBLE&&n&&n.fieldKind!="list"&&n.fieldKind!="map"),{key:t,value:n}}function ei(e){var t;
return Ga==q("enumType",{proto:e.proto,parent:(t=e.parent)!==null&&t!==void 0?t:e.file})}function Hr(e,t){return e.type==Te?!0:Ba==q("messageEncoding",{proto:e,
parent:t})}function ti(e,t){return _a==q("utf8Validation",{proto:e,parent:t})}function q(e,t){var n,r;let o=(n=t.proto.options)===null||n===void 0?void 0:n.features;
if(o){let s=o[e];if(s!=0)return s}if("kind"in t){if(t.kind=="message")return q(e,(r=t.parent)!==null&&r!==void 0?r:t.file);let s=Qr[t.edition];if(!s)throw new Error(
`feature default for edition ${t.edition} not found`);return s[e]}return q(e,t.parent)}function Y(e,t){if(!e)throw new Error(t)}function qr(e){let t=ni(e);return t.messageType.forEach(Ae),He(t,()=>{}).getFile(t.name)}function ni(e){return Object.assign(Object.create({syntax:"",edition:0}),
Object.assign(Object.assign({$typeName:"google.protobuf.FileDescriptorProto",dependency:[],publicDependency:[],weakDependency:[],optionDependency:[],service:[],
extension:[]},e),{messageType:e.messageType.map(eo),enumType:e.enumType.map(to)}))}function eo(e){var t,n,r,o,s,a,i,c;return Object.assign(Object.create({visibility:0}),
{$typeName:"google.protobuf.DescriptorProto",name:e.name,field:(n=(t=e.field)===null||t===void 0?void 0:t.map(ri))!==null&&n!==void 0?n:[],extension:[],nestedType:(o=
(r=e.nestedType)===null||r===void 0?void 0:r.map(eo))!==null&&o!==void 0?o:[],enumType:(a=(s=e.enumType)===null||s===void 0?void 0:s.map(to))!==null&&a!==void 0?
a:[],extensionRange:(c=(i=e.extensionRange)===null||i===void 0?void 0:i.map(m=>Object.assign({$typeName:"google.protobuf.DescriptorProto.ExtensionRange"},m)))!==
null&&c!==void 0?c:[],oneofDecl:[],reservedRange:[],reservedName:[]})}function ri(e){return Object.assign(Object.create({label:1,typeName:"",extendee:"",defaultValue:"",
oneofIndex:0,jsonName:"",proto3Optional:!1}),Object.assign(Object.assign({$typeName:"google.protobuf.FieldDescriptorProto"},e),{options:e.options?oi(e.options):
void 0}))}function oi(e){var t,n,r;return Object.assign(Object.create({ctype:0,packed:!1,jstype:0,lazy:!1,unverifiedLazy:!1,deprecated:!1,weak:!1,debugRedact:!1,
retention:0}),Object.assign(Object.assign({$typeName:"google.protobuf.FieldOptions"},e),{targets:(t=e.targets)!==null&&t!==void 0?t:[],editionDefaults:(r=(n=e.editionDefaults)===
null||n===void 0?void 0:n.map(s=>Object.assign({$typeName:"google.protobuf.FieldOptions.EditionDefault"},s)))!==null&&r!==void 0?r:[],uninterpretedOption:[]}))}
function to(e){return Object.assign(Object.create({visibility:0}),{$typeName:"google.protobuf.EnumDescriptorProto",name:e.name,reservedName:[],reservedRange:[],
value:e.value.map(n=>Object.assign({$typeName:"google.protobuf.EnumValueDescriptorProto"},n))})}function M(e,t,...n){return n.reduce((r,o)=>r.nestedMessages[o],e.messages[t])}var si=qr({name:"google/protobuf/descriptor.proto",package:"google.protobuf",messageType:[{name:"FileDescriptorSet",field:[{name:"file",number:1,type:11,label:3,
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
{name:"VISIBILITY_UNSET",number:0},{name:"VISIBILITY_LOCAL",number:1},{name:"VISIBILITY_EXPORT",number:2}]}]});var vo=M(si,1);var no;(function(e){e[e.DECLARATION=0]="DECLARATION",e[e.UNVERIFIED=1]="UNVERIFIED"})(no||(no={}));var ro;(function(e){e[e.DOUBLE=1]="DOUBLE",e[e.FLOAT=2]="FLOAT",e[e.INT64=3]="INT64",e[e.UINT64=4]="UINT64",e[e.INT32=5]="INT32",e[e.FIXED64=6]="FIXED64",e[e.FIXED32=
7]="FIXED32",e[e.BOOL=8]="BOOL",e[e.STRING=9]="STRING",e[e.GROUP=10]="GROUP",e[e.MESSAGE=11]="MESSAGE",e[e.BYTES=12]="BYTES",e[e.UINT32=13]="UINT32",e[e.ENUM=14]=
"ENUM",e[e.SFIXED32=15]="SFIXED32",e[e.SFIXED64=16]="SFIXED64",e[e.SINT32=17]="SINT32",e[e.SINT64=18]="SINT64"})(ro||(ro={}));var oo;(function(e){e[e.OPTIONAL=1]="OPTIONAL",e[e.REPEATED=3]="REPEATED",e[e.REQUIRED=2]="REQUIRED"})(oo||(oo={}));var so;(function(e){e[e.SPEED=1]="SPEED",e[e.CODE_SIZE=2]="CODE_SIZE",e[e.LITE_RUNTIME=3]="LITE_RUNTIME"})(so||(so={}));var ao;(function(e){e[e.STRING=0]="STRING",e[e.CORD=1]="CORD",e[e.STRING_PIECE=2]="STRING_PIECE"})(ao||(ao={}));var io;(function(e){e[e.JS_NORMAL=0]="JS_NORMAL",e[e.JS_STRING=1]="JS_STRING",e[e.JS_NUMBER=2]="JS_NUMBER"})(io||(io={}));var co;(function(e){e[e.RETENTION_UNKNOWN=0]="RETENTION_UNKNOWN",e[e.RETENTION_RUNTIME=1]="RETENTION_RUNTIME",e[e.RETENTION_SOURCE=2]="RETENTION_SOURCE"})(co||(co=
{}));var uo;(function(e){e[e.TARGET_TYPE_UNKNOWN=0]="TARGET_TYPE_UNKNOWN",e[e.TARGET_TYPE_FILE=1]="TARGET_TYPE_FILE",e[e.TARGET_TYPE_EXTENSION_RANGE=2]="TARGET_TYPE_\
EXTENSION_RANGE",e[e.TARGET_TYPE_MESSAGE=3]="TARGET_TYPE_MESSAGE",e[e.TARGET_TYPE_FIELD=4]="TARGET_TYPE_FIELD",e[e.TARGET_TYPE_ONEOF=5]="TARGET_TYPE_ONEOF",e[e.
TARGET_TYPE_ENUM=6]="TARGET_TYPE_ENUM",e[e.TARGET_TYPE_ENUM_ENTRY=7]="TARGET_TYPE_ENUM_ENTRY",e[e.TARGET_TYPE_SERVICE=8]="TARGET_TYPE_SERVICE",e[e.TARGET_TYPE_METHOD=
9]="TARGET_TYPE_METHOD"})(uo||(uo={}));var lo;(function(e){e[e.IDEMPOTENCY_UNKNOWN=0]="IDEMPOTENCY_UNKNOWN",e[e.NO_SIDE_EFFECTS=1]="NO_SIDE_EFFECTS",e[e.IDEMPOTENT=2]="IDEMPOTENT"})(lo||(lo={}));var mo;(function(e){e[e.DEFAULT_SYMBOL_VISIBILITY_UNKNOWN=0]="DEFAULT_SYMBOL_VISIBILITY_UNKNOWN",e[e.EXPORT_ALL=1]="EXPORT_ALL",e[e.EXPORT_TOP_LEVEL=2]="EXPORT_\
TOP_LEVEL",e[e.LOCAL_ALL=3]="LOCAL_ALL",e[e.STRICT=4]="STRICT"})(mo||(mo={}));var fo;(function(e){e[e.PROTO_LIMITS_UNKNOWN=0]="PROTO_LIMITS_UNKNOWN",e[e.LEGACY_NO_EXPLICIT_LIMITS=1]="LEGACY_NO_EXPLICIT_LIMITS",e[e.PROTO_LIMITS2026=2]="PRO\
TO_LIMITS2026"})(fo||(fo={}));var po;(function(e){e[e.FIELD_PRESENCE_UNKNOWN=0]="FIELD_PRESENCE_UNKNOWN",e[e.EXPLICIT=1]="EXPLICIT",e[e.IMPLICIT=2]="IMPLICIT",e[e.LEGACY_REQUIRED=3]="LEGACY_\
REQUIRED"})(po||(po={}));var ho;(function(e){e[e.ENUM_TYPE_UNKNOWN=0]="ENUM_TYPE_UNKNOWN",e[e.OPEN=1]="OPEN",e[e.CLOSED=2]="CLOSED"})(ho||(ho={}));var go;(function(e){e[e.REPEATED_FIELD_ENCODING_UNKNOWN=0]="REPEATED_FIELD_ENCODING_UNKNOWN",e[e.PACKED=1]="PACKED",e[e.EXPANDED=2]="EXPANDED"})(go||(go={}));var bo;(function(e){e[e.UTF8_VALIDATION_UNKNOWN=0]="UTF8_VALIDATION_UNKNOWN",e[e.VERIFY=2]="VERIFY",e[e.NONE=3]="NONE"})(bo||(bo={}));var yo;(function(e){e[e.MESSAGE_ENCODING_UNKNOWN=0]="MESSAGE_ENCODING_UNKNOWN",e[e.LENGTH_PREFIXED=1]="LENGTH_PREFIXED",e[e.DELIMITED=2]="DELIMITED"})(yo||(yo={}));var Eo;(function(e){e[e.JSON_FORMAT_UNKNOWN=0]="JSON_FORMAT_UNKNOWN",e[e.ALLOW=1]="ALLOW",e[e.LEGACY_BEST_EFFORT=2]="LEGACY_BEST_EFFORT"})(Eo||(Eo={}));var No;(function(e){e[e.ENFORCE_NAMING_STYLE_UNKNOWN=0]="ENFORCE_NAMING_STYLE_UNKNOWN",e[e.STYLE2024=1]="STYLE2024",e[e.STYLE_LEGACY=2]="STYLE_LEGACY",e[e.STYLE2026=
3]="STYLE2026"})(No||(No={}));var So;(function(e){e[e.NONE=0]="NONE",e[e.SET=1]="SET",e[e.ALIAS=2]="ALIAS"})(So||(So={}));var Io;(function(e){e[e.EDITION_UNKNOWN=0]="EDITION_UNKNOWN",e[e.EDITION_LEGACY=900]="EDITION_LEGACY",e[e.EDITION_PROTO2=998]="EDITION_PROTO2",e[e.EDITION_PROTO3=
999]="EDITION_PROTO3",e[e.EDITION_2023=1e3]="EDITION_2023",e[e.EDITION_2024=1001]="EDITION_2024",e[e.EDITION_2026=1002]="EDITION_2026",e[e.EDITION_UNSTABLE=9999]=
"EDITION_UNSTABLE",e[e.EDITION_1_TEST_ONLY=1]="EDITION_1_TEST_ONLY",e[e.EDITION_2_TEST_ONLY=2]="EDITION_2_TEST_ONLY",e[e.EDITION_99997_TEST_ONLY=99997]="EDITION\
_99997_TEST_ONLY",e[e.EDITION_99998_TEST_ONLY=99998]="EDITION_99998_TEST_ONLY",e[e.EDITION_99999_TEST_ONLY=99999]="EDITION_99999_TEST_ONLY",e[e.EDITION_MAX=2147483647]=
"EDITION_MAX"})(Io||(Io={}));var xo;(function(e){e[e.VISIBILITY_UNSET=0]="VISIBILITY_UNSET",e[e.VISIBILITY_LOCAL=1]="VISIBILITY_LOCAL",e[e.VISIBILITY_EXPORT=2]="VISIBILITY_EXPORT"})(xo||(xo=
{}));function un(e){return Object.assign(Object.assign({readUnknownFields:!0,recursionLimit:100},e),{depth:0})}function P(e,t,n){let r=T(e);return ln(e).read(r,new _(
t),un(n),t.byteLength),r}var Ao=new WeakMap;function ln(e){let t=Ao.get(e);return t===void 0&&(t=ai(e)),t}function ai(e){let t=String(e),n=new Map,r={read:ii(t,n),readGroup:ci(t,n)};Ao.
set(e,r);for(let o of e.fields)n.set(o.number,To(o));return r}function ii(e,t){return(n,r,o,s)=>{var a;if(++o.depth>o.recursionLimit)throw new Error(`cannot dec\
ode ${e} from binary: maximum recursion depth of ${o.recursionLimit} reached`);let i=r.pos+s,c=(a=n.$unknown)!==null&&a!==void 0?a:[];for(;r.pos<i;){let[u,m]=r.
tag(),p=t.get(u);if(p===void 0){let h=r.skip(m,u,o.recursionLimit-o.depth);o.readUnknownFields&&c.push({no:u,wireType:m,data:h});continue}p(n,r,o,m)}c.length>0&&
(n.$unknown=c),o.depth--}}function ci(e,t){return(n,r,o,s)=>{var a;if(++o.depth>o.recursionLimit)throw new Error(`cannot decode ${e} from binary: maximum recurs\
ion depth of ${o.recursionLimit} reached`);let i,c,u=(a=n.$unknown)!==null&&a!==void 0?a:[];for(;r.pos<r.len&&([i,c]=r.tag(),c!=w.EndGroup);){let m=t.get(i);if(m===
void 0){let p=r.skip(c,i,o.recursionLimit-o.depth);o.readUnknownFields&&u.push({no:i,wireType:c,data:p});continue}m(n,r,o,c)}if(c!=w.EndGroup||i!==s)throw new Error(
"invalid end group tag");u.length>0&&(n.$unknown=u),o.depth--}}function wo(e,t,n,r,o){To(n)(e[U],t,o,r)}function To(e){switch(e.fieldKind){case"scalar":return ui(
e);case"enum":return li(e);case"message":return mi(e);case"list":return di(e);case"map":return fi(e)}}function ui(e){let t=je(e.scalar,e.utf8Validation,e.longAsString),
n=e.localName;if(e.oneof){let r=e.oneof.localName;return(o,s)=>{o[r]={case:n,value:t(s)}}}return(r,o)=>{r[n]=t(o)}}function li(e){var t;let n=e.localName,r=(t=e.
oneof)===null||t===void 0?void 0:t.localName;if(e.enum.open)return r!==void 0?(a,i)=>{a[r]={case:n,value:i.int32()}}:(a,i)=>{a[n]=i.int32()};let o=e.enum.values,
s=e.number;return(a,i,c,u)=>{var m;let p=i.int32();if(o.some(h=>h.number===p))r!==void 0?a[r]={case:n,value:p}:a[n]=p;else if(c.readUnknownFields){let h=[];sr(p,
h);let d=(m=a.$unknown)!==null&&m!==void 0?m:[];d.push({no:s,wireType:u,data:new Uint8Array(h)}),a.$unknown=d}}}function mi(e){let t=e.localName,{toMessage:n,toLocal:r}=O(
e),o=Ro(e);if(e.oneof){let s=e.oneof.localName;return(a,i,c)=>{let u=a[s],m=n(u.case===t?u.value:void 0);o(m,i,c),a[s]={case:t,value:r(m)}}}return(s,a,i)=>{let c=n(
s[t]);o(c,a,i),s[t]=r(c)}}function Ro(e){let t=ln(e.message);if(e.delimitedEncoding){let n=e.number;return(r,o,s)=>t.readGroup(r,o,s,n)}return(n,r,o)=>t.read(n,
r,o,r.uint32())}function di(e){let t=e.localName;if(e.listKind=="message"){let{toMessage:a,toLocal:i}=O(e),c=Ro(e);return(u,m,p)=>{let h=a(void 0);c(h,m,p),u[t].
push(i(h))}}let n=e.listKind=="enum"?l.INT32:e.scalar,r=e.listKind=="scalar"?e.longAsString:!1,o=je(n,e.utf8Validation,r),s=n!=l.STRING&&n!=l.BYTES;return(a,i,c,u)=>{
let m=a[t];if(u==w.LengthDelimited&&s){let p=i.uint32()+i.pos;for(;i.pos<p;)m.push(o(i))}else m.push(o(i))}}function fi(e){let t=e.localName,n=je(e.mapKey,e.utf8Validation,
!1),r=k(e.mapKey,!1),o,s;switch(e.mapKind){case"scalar":{let a=e.scalar,i=je(a,e.utf8Validation,!1);if(o=c=>i(c),a==l.BYTES)s=()=>new Uint8Array(0);else{let c=k(
a,!1);s=()=>c}break}case"enum":{let a=e.enum.values[0].number;o=i=>i.int32(),s=()=>a;break}case"message":{let{toMessage:a,toLocal:i}=O(e),c=ln(e.message).read;o=
(u,m,p)=>{let h=a(p);return c(h,u,m,u.uint32()),i(h)},s=()=>i(a(void 0));break}}return(a,i,c)=>{let u=a[t],m,p,h=i.uint32(),d=i.pos+h;for(;i.pos<d;){let[f,b]=i.
tag();switch(f){case 1:m=n(i);break;case 2:p=o(i,c,p);break;default:i.skip(b,f,c.recursionLimit-c.depth)}}m===void 0&&(m=r),p===void 0&&(p=s()),C(u,m,p)}}function je(e,t,n){
switch(e){case l.STRING:return r=>r.string(t);case l.BOOL:return r=>r.bool();case l.DOUBLE:return r=>r.double();case l.FLOAT:return r=>r.float();case l.INT32:return r=>r.
int32();case l.INT64:return n?r=>String(r.int64()):r=>r.int64();case l.UINT64:return n?r=>String(r.uint64()):r=>r.uint64();case l.FIXED64:return n?r=>String(r.fixed64()):
r=>r.fixed64();case l.BYTES:return r=>r.bytes();case l.FIXED32:return r=>r.fixed32();case l.SFIXED32:return r=>r.sfixed32();case l.SFIXED64:return n?r=>String(r.
sfixed64()):r=>r.sfixed64();case l.SINT64:return n?r=>String(r.sint64()):r=>r.sint64();case l.UINT32:return r=>r.uint32();case l.SINT32:return r=>r.sint32()}}function B(e,t){var n;let r=P(vo,ie(e));return r.messageType.forEach(Ae),r.dependency=(n=t?.map(s=>s.proto.name))!==null&&n!==void 0?n:[],He(r,s=>t?.find(a=>a.proto.
name===s)).getFile(r.name)}var Vo=B("Ch5nb29nbGUvcHJvdG9idWYvZHVyYXRpb24ucHJvdG8SD2dvb2dsZS5wcm90b2J1ZiIqCghEdXJhdGlvbhIPCgdzZWNvbmRzGAEgASgDEg0KBW5hbm9zGAIgASgFQoMBChNjb20uZ29vZ2xlLnByb3\
RvYnVmQg1EdXJhdGlvblByb3RvUAFaMWdvb2dsZS5nb2xhbmcub3JnL3Byb3RvYnVmL3R5cGVzL2tub3duL2R1cmF0aW9ucGL4AQGiAgNHUEKqAh5Hb29nbGUuUHJvdG9idWYuV2VsbEtub3duVHlwZXNiBnByb3\
RvMw");var mn=B("Chlnb29nbGUvcHJvdG9idWYvYW55LnByb3RvEg9nb29nbGUucHJvdG9idWYiJgoDQW55EhAKCHR5cGVfdXJsGAEgASgJEg0KBXZhbHVlGAIgASgMQnYKE2NvbS5nb29nbGUucHJvdG9idWZCCEFueV\
Byb3RvUAFaLGdvb2dsZS5nb2xhbmcub3JnL3Byb3RvYnVmL3R5cGVzL2tub3duL2FueXBiogIDR1BCqgIeR29vZ2xlLlByb3RvYnVmLldlbGxLbm93blR5cGVzYgZwcm90bzM"),Fo=M(mn,0);var pi=2,hi=3,Lo={writeUnknownFields:!0};function gi(e){return e?Object.assign(Object.assign({},Lo),e):Lo}function Q(e,t,n){let r=new se;return dn(e)(r,gi(n),t),
r.finish()}var Uo=new WeakMap;function dn(e){let t=Uo.get(e);return t===void 0&&(t=bi(e)),t}function bi(e){let t=e.typeName,n=e.fields.concat().sort((a,i)=>a.number-
i.number),r=n[0],o=[],s=(a,i,c)=>{if(c.$typeName!==t&&r!==void 0)throw new v(r,`cannot use ${r} with message ${c.$typeName}`,"ForeignFieldError");for(let m=0;m<
o.length;m++)o[m](a,i,c);let u=c.$unknown;if(u!==void 0&&i.writeUnknownFields)for(let m=0;m<u.length;m++){let{no:p,wireType:h,data:d}=u[m];a.tag(p,h).raw(d)}};Uo.
set(e,s);for(let a of n)o.push(Co(a));return s}function Co(e){switch(e.fieldKind){case"message":case"scalar":case"enum":return yi(e);case"list":return Ni(e);case"\
map":return Si(e)}}function yi(e){let t=Ei(e),n=e.localName;if(e.oneof){let r=e.oneof.localName;return(o,s,a)=>{let i=a[r];i.case===n&&t(o,s,i.value)}}if(e.presence!=
pi){let r=e.presence==hi?`cannot encode ${e} to binary: required field not set`:void 0;return(o,s,a)=>{let i=a[n];if(i!==void 0&&Object.prototype.hasOwnProperty.
call(a,n))t(o,s,i);else if(r!==void 0)throw new Error(r)}}if(e.fieldKind=="enum"){let r=e.enum.values[0].number;return(o,s,a)=>{let i=a[n];i!==r&&t(o,s,i)}}switch(e.
scalar){case l.BOOL:return(r,o,s)=>{let a=s[n];a!==!1&&t(r,o,a)};case l.STRING:return(r,o,s)=>{let a=s[n];a!==""&&t(r,o,a)};case l.BYTES:return(r,o,s)=>{let a=s[n];
(!(a instanceof Uint8Array)||a.byteLength>0)&&t(r,o,a)};case l.DOUBLE:case l.FLOAT:return(r,o,s)=>{let a=s[n];Object.is(a,0)||t(r,o,a)};default:return(r,o,s)=>{
let a=s[n];a!=0&&t(r,o,a)}}}function Ei(e){switch(e.fieldKind){case"message":{let{toMessage:t}=O(e),n=ko(e);return(r,o,s)=>{n(r,o,t(s))}}case"scalar":case"enum":{
let t=e.fieldKind=="enum"?l.INT32:e.scalar,n=e.number,r=qe(t),o=ze(t,e.parent.typeName,e.name);return(s,a,i)=>{s.tag(n,r),o(s,i)}}}}function Ni(e){let t=e.localName,
n=e.number;switch(e.listKind){case"message":{let{toMessage:r}=O(e),o=ko(e);return(s,a,i)=>{let c=i[t];for(let u=0;u<c.length;u++)o(s,a,r(c[u]))}}case"scalar":case"\
enum":{let r=e.listKind=="enum"?l.INT32:e.scalar,o=ze(r,e.parent.typeName,e.name);if(e.packed)return(a,i,c)=>{let u=c[t];if(u.length!=0){a.tag(n,w.LengthDelimited).
fork();for(let m=0;m<u.length;m++)o(a,u[m]);a.join()}};let s=qe(r);return(a,i,c)=>{let u=c[t];for(let m=0;m<u.length;m++)a.tag(n,s),o(a,u[m])}}}}function Si(e){
let t=e.localName,n=e.number,r=Ii(e);if(e.mapKind=="message"){let{toMessage:i}=O(e),c=dn(e.message);return(u,m,p)=>{let h=p[t],d=Object.keys(h);for(let f=0;f<d.
length;f++){let b=d[f];u.tag(n,w.LengthDelimited).fork(),r(u,b),u.tag(2,w.LengthDelimited).fork(),c(u,m,i(h[b])),u.join(),u.join()}}}let o=e.mapKind=="enum"?l.INT32:
e.scalar,s=qe(o),a=ze(o,e.parent.typeName,e.name);return(i,c,u)=>{let m=u[t],p=Object.keys(m);for(let h=0;h<p.length;h++){let d=p[h];i.tag(n,w.LengthDelimited).
fork(),r(i,d),i.tag(2,s),a(i,m[d]),i.join()}}}function Ii(e){let t=qe(e.mapKey),n=ze(e.mapKey,e.parent.typeName,e.name),r=xi(e.mapKey);return(o,s)=>{o.tag(1,t),
n(o,r(s))}}function xi(e){switch(e){case l.STRING:return t=>t;case l.BOOL:return t=>t==="true"?!0:t==="false"?!1:t;case l.UINT64:case l.FIXED64:return t=>{try{return x.
uParse(t)}catch{return t}};case l.INT64:case l.SFIXED64:case l.SINT64:return t=>{try{return x.parse(t)}catch{return t}};default:return t=>{let n=Number.parseInt(
t);return Number.isFinite(n)?n:t}}}function ze(e,t,n){let r=vi(e);return(o,s)=>{try{r(o,s)}catch(a){throw a instanceof Error?new Error(`cannot encode field ${t}\
.${n} to binary: ${a.message}`):a}}}function vi(e){switch(e){case l.STRING:return(t,n)=>t.string(n);case l.BOOL:return(t,n)=>t.bool(n);case l.DOUBLE:return(t,n)=>t.
double(n);case l.FLOAT:return(t,n)=>t.float(n);case l.INT32:return(t,n)=>t.int32(n);case l.INT64:return(t,n)=>t.int64(n);case l.UINT64:return(t,n)=>t.uint64(n);case l.
FIXED64:return(t,n)=>t.fixed64(n);case l.BYTES:return(t,n)=>t.bytes(n);case l.FIXED32:return(t,n)=>t.fixed32(n);case l.SFIXED32:return(t,n)=>t.sfixed32(n);case l.
SFIXED64:return(t,n)=>t.sfixed64(n);case l.SINT64:return(t,n)=>t.sint64(n);case l.UINT32:return(t,n)=>t.uint32(n);case l.SINT32:return(t,n)=>t.sint32(n)}}function Do(e,t,n,r){
Co(r)(e,t,n[U])}function ko(e){let t=e.number,n=dn(e.message);return e.delimitedEncoding?(r,o,s)=>{r.tag(t,w.StartGroup),n(r,o,s),r.tag(t,w.EndGroup)}:(r,o,s)=>{
r.tag(t,w.LengthDelimited).fork(),n(r,o,s),r.join()}}function qe(e){switch(e){case l.BYTES:case l.STRING:return w.LengthDelimited;case l.DOUBLE:case l.FIXED64:case l.
SFIXED64:return w.Bit64;case l.FIXED32:case l.SFIXED32:case l.FLOAT:return w.Bit32;default:return w.Varint}}function Mo(e,t,n){let r=!1;return n||(n=T(Fo),r=!0),n.value=Q(e,t),n.typeUrl=Ti(t.$typeName),r?n:void 0}function wi(e,t){if(e.typeUrl==="")return!1;let n=typeof t==
"string"?t:t.typeName,r=Bo(e.typeUrl);return n===r}function Oo(e,t){if(e.typeUrl==="")return;let n=t.kind=="message"?t:t.getMessage(Bo(e.typeUrl));if(!(!n||!wi(
e,n)))return P(n,e.value)}function Ti(e){return`type.googleapis.com/${e}`}function Bo(e){let t=e.lastIndexOf("/"),n=t>=0?e.substring(t+1):e;if(!n.length)throw new Error(`invalid type url\
: ${e}`);return n}var Re=B("Chxnb29nbGUvcHJvdG9idWYvc3RydWN0LnByb3RvEg9nb29nbGUucHJvdG9idWYihAEKBlN0cnVjdBIzCgZmaWVsZHMYASADKAsyIy5nb29nbGUucHJvdG9idWYuU3RydWN0LkZpZWxkc0VudHJ5Gk\
UKC0ZpZWxkc0VudHJ5EgsKA2tleRgBIAEoCRIlCgV2YWx1ZRgCIAEoCzIWLmdvb2dsZS5wcm90b2J1Zi5WYWx1ZToCOAEi6gEKBVZhbHVlEjAKCm51bGxfdmFsdWUYASABKA4yGi5nb29nbGUucHJvdG9idWYuTn\
VsbFZhbHVlSAASFgoMbnVtYmVyX3ZhbHVlGAIgASgBSAASFgoMc3RyaW5nX3ZhbHVlGAMgASgJSAASFAoKYm9vbF92YWx1ZRgEIAEoCEgAEi8KDHN0cnVjdF92YWx1ZRgFIAEoCzIXLmdvb2dsZS5wcm90b2J1Zi\
5TdHJ1Y3RIABIwCgpsaXN0X3ZhbHVlGAYgASgLMhouZ29vZ2xlLnByb3RvYnVmLkxpc3RWYWx1ZUgAQgYKBGtpbmQiMwoJTGlzdFZhbHVlEiYKBnZhbHVlcxgBIAMoCzIWLmdvb2dsZS5wcm90b2J1Zi5WYWx1ZS\
obCglOdWxsVmFsdWUSDgoKTlVMTF9WQUxVRRAAQn8KE2NvbS5nb29nbGUucHJvdG9idWZCC1N0cnVjdFByb3RvUAFaL2dvb2dsZS5nb2xhbmcub3JnL3Byb3RvYnVmL3R5cGVzL2tub3duL3N0cnVjdHBi+AEBog\
IDR1BCqgIeR29vZ2xlLlByb3RvYnVmLldlbGxLbm93blR5cGVzYgZwcm90bzM"),Go=M(Re,0),fn=M(Re,1),_o=M(Re,2),et;(function(e){e[e.NULL_VALUE=0]="NULL_VALUE"})(et||(et={}));function Zo(e,t,n){Yo(t,e);let r=Ri(e.$unknown,t),[o,s,a]=ue(t),i=un(n);for(let c of r)wo(o,new _(c.data),s,c.wireType,i);return a()}function Xo(e,t,n){var r;Yo(
t,e);let o=((r=e.$unknown)!==null&&r!==void 0?r:[]).filter(u=>u.no!==t.number),[s,a]=ue(t,n),i=new se;Do(i,{writeUnknownFields:!0},s,a);let c=new _(i.finish());
for(;c.pos<c.len;){let[u,m]=c.tag(),p=c.skip(m,u);o.push({no:u,wireType:m,data:p})}e.$unknown=o}function Ri(e,t){if(e===void 0)return[];if(t.fieldKind==="enum"||t.fieldKind==="scalar"){for(let n=e.length-1;n>=0;--n)if(e[n].no==t.number)return[e[n]];return[]}
return e.filter(n=>n.no===t.number)}function ue(e,t){let n=e.typeName,r=Object.assign(Object.assign({},e),{kind:"field",parent:e.extendee,localName:n}),o=Object.
assign(Object.assign({},e.extendee),{fields:[r],members:[r],oneofs:[]}),s=T(o,t!==void 0?{[n]:t}:void 0);return[Br(o,s),r,()=>{let a=s[n];if(a===void 0){let i=e.
message;return G(i)?k(i.fields[0].scalar,i.fields[0].longAsString):T(i)}return a}]}function Yo(e,t){if(e.extendee.typeName!=t.$typeName)throw new Error(`extensi\
on ${e.typeName} can only be applied to message ${e.extendee.typeName}`)}var tt=Date.parse("0001-01-01T00:00:00Z"),nt=Date.parse("9999-12-31T23:59:59Z"),rt=-315576e6,ot=315576e6;var Vi=3,Fi=2,Po={alwaysEmitImplicit:!1,enumAsInteger:!1,useProtoFieldName:!1};function Li(e){return e?Object.assign(Object.assign({},Po),e):Po}function hn(e,t,n){
return st(e)(Li(n),t)}function Ko(e,t,n){var r;let o=hn(e,t,n);return JSON.stringify(o,null,(r=n?.prettySpaces)!==null&&r!==void 0?r:0)}var pn=new WeakMap;function st(e){let t=pn.get(e);return t===void 0&&(t=Ui(e)),t}function Ui(e){let t=e.typeName,n=Di(e);if(n!==void 0){let i=e.fields[0],c=(u,m)=>{
if(m.$typeName!==t&&i!==void 0)throw new v(i,`cannot use ${i} with message ${m.$typeName}`,"ForeignFieldError");return n(u,m)};return pn.set(e,c),c}let r=e.fields.
concat().sort((i,c)=>i.number-c.number),o=r[0],s=[],a=(i,c)=>{if(c.$typeName!==t&&o!==void 0)throw new v(o,`cannot use ${o} with message ${c.$typeName}`,"Foreig\
nFieldError");let u={};for(let m=0;m<s.length;m++)s[m](i,c,u);return i.registry&&_i(u,i,i.registry,c,e),u};pn.set(e,a);for(let i of r){let c=ki(i);s.push(i.jsonName===
"__proto__"||i.name==="__proto__"?Ci(c):c)}return a}function Ci(e){return(t,n,r)=>{let o=Object.create(null);e(t,n,o);for(let s of Object.keys(o))C(r,s,o[s])}}function Di(e){
if(e.typeName.startsWith("google.protobuf."))switch(e.typeName){case"google.protobuf.Any":return(t,n)=>Zi(n,t);case"google.protobuf.Timestamp":return(t,n)=>Pi(n);case"\
google.protobuf.Duration":return(t,n)=>Xi(n);case"google.protobuf.FieldMask":return(t,n)=>Yi(n);case"google.protobuf.Struct":return(t,n)=>Qo(n);case"google.prot\
obuf.Value":return(t,n)=>yn(n);case"google.protobuf.ListValue":return(t,n)=>jo(n);default:if(G(e)){let t=e.fields[0],n=t.localName,r=k(t.scalar,!1),o=at(t);return(s,a)=>{
let i=a[n];return o(s,i===void 0?r:i)}}return}}function ki(e){switch(e.fieldKind){case"scalar":case"enum":case"message":return Mi(e);case"list":case"map":{let t=e.
fieldKind=="list"?Jo(e):Ho(e),n=e.name,r=e.jsonName,o=e.localName;return(s,a,i)=>{let c=t(s,a[o]);c!==void 0&&(i[s.useProtoFieldName?n:r]=c)}}}}function Mi(e){let t=$o(
e),n=e.name,r=e.jsonName,o=e.localName;if(e.oneof){let s=e.oneof.localName;return(a,i,c)=>{let u=i[s];u.case===o&&(c[a.useProtoFieldName?n:r]=t(a,u.value))}}if(e.
presence!=Fi){let s=e.presence==Vi?`cannot encode ${e} to JSON: required field not set`:void 0;return(a,i,c)=>{let u=i[o];if(u!==void 0&&Object.prototype.hasOwnProperty.
call(i,o))c[a.useProtoFieldName?n:r]=t(a,u);else if(s!==void 0)throw new Error(s)}}if(e.fieldKind=="enum"){let s=e.enum.values[0].number;return(a,i,c)=>{let u=i[o];
(u!==s||a.alwaysEmitImplicit)&&(c[a.useProtoFieldName?n:r]=t(a,u))}}switch(e.scalar){case l.BOOL:return(s,a,i)=>{let c=a[o];(c!==!1||s.alwaysEmitImplicit)&&(i[s.
useProtoFieldName?n:r]=t(s,c))};case l.STRING:return(s,a,i)=>{let c=a[o];(c!==""||s.alwaysEmitImplicit)&&(i[s.useProtoFieldName?n:r]=t(s,c))};case l.BYTES:return(s,a,i)=>{
let c=a[o];(!(c instanceof Uint8Array)||c.byteLength>0||s.alwaysEmitImplicit)&&(i[s.useProtoFieldName?n:r]=t(s,c))};case l.DOUBLE:case l.FLOAT:return(s,a,i)=>{let c=a[o];
(!Object.is(c,0)||s.alwaysEmitImplicit)&&(i[s.useProtoFieldName?n:r]=t(s,c))};default:return(s,a,i)=>{let c=a[o];(c!=0||s.alwaysEmitImplicit)&&(i[s.useProtoFieldName?
n:r]=t(s,c))}}}function Oi(e){switch(e.fieldKind){case"scalar":case"enum":case"message":return $o(e);case"list":return Jo(e);case"map":return Ho(e)}}function $o(e){
switch(e.fieldKind){case"scalar":return at(e);case"enum":return bn(e);case"message":return gn(e)}}function gn(e){let{toMessage:t}=O(e),n=st(e.message);return(r,o)=>n(
r,t(o))}function Jo(e){let t=Bi(e);return(n,r)=>{let o=r;if(o.length==0&&!n.alwaysEmitImplicit)return;let s=[];for(let a=0;a<o.length;a++)s.push(t(n,o[a]));return s}}
function Bi(e){switch(e.listKind){case"scalar":return at(e);case"enum":return bn(e);case"message":return gn(e)}}function Ho(e){let t=Gi(e);return(n,r)=>{let o=r,
s=Object.keys(o);if(s.length==0&&!n.alwaysEmitImplicit)return;let a={};for(let i=0;i<s.length;i++){let c=s[i];C(a,c,t(n,o[c]))}return a}}function Gi(e){switch(e.
mapKind){case"scalar":return at(e);case"enum":return bn(e);case"message":return gn(e)}}function bn(e){let t=e.enum;return t.typeName=="google.protobuf.NullValue"?
(n,r)=>{if(typeof r!="number")throw Wo(t,r);return null}:(n,r)=>{var o,s;if(typeof r!="number")throw Wo(t,r);return n.enumAsInteger?r:(s=(o=t.value[r])===null||
o===void 0?void 0:o.jsonName)!==null&&s!==void 0?s:r}}function Wo(e,t){return new Error(`cannot encode ${e} to JSON: expected number, got ${F(t)}`)}function at(e){
switch(e.scalar){case l.INT32:case l.SFIXED32:case l.SINT32:case l.FIXED32:case l.UINT32:return(t,n)=>{if(typeof n!="number")throw le(e,n);return n};case l.FLOAT:case l.
DOUBLE:return(t,n)=>{if(typeof n!="number")throw le(e,n);return Number.isNaN(n)?"NaN":n===Number.POSITIVE_INFINITY?"Infinity":n===Number.NEGATIVE_INFINITY?"-Inf\
inity":n};case l.STRING:return(t,n)=>{if(typeof n!="string")throw le(e,n);return n};case l.BOOL:return(t,n)=>{if(typeof n!="boolean")throw le(e,n);return n};case l.
UINT64:case l.FIXED64:case l.INT64:case l.SFIXED64:case l.SINT64:return(t,n)=>{if(typeof n=="bigint"||typeof n=="string"||typeof n=="number"&&Number.isInteger(n))
return n.toString();throw le(e,n)};case l.BYTES:return(t,n)=>{if(n instanceof Uint8Array)return nn(n);throw le(e,n)}}}function le(e,t){var n;return new Error(`c\
annot encode ${e} to JSON: ${(n=Ze(e,t))===null||n===void 0?void 0:n.message}`)}function _i(e,t,n,r,o){let s=r.$unknown;if(s===void 0)return;let a=new Set;for(let i=0;i<
s.length;i++){let{no:c}=s[i];if(!a.has(c)){a.add(c);let u=n.getExtensionFor(o,c);if(!u)continue;let m=Zo(r,u),[p,h]=ue(u,m),d=p[U],f=Oi(h)(t,d[h.localName]);f!==
void 0&&(e[u.jsonName]=f)}}}function Zi(e,t){if(e.typeUrl==="")return{};let{registry:n}=t,r,o;if(n&&(r=Oo(e,n),r&&(o=n.getMessage(r.$typeName))),!o||!r)throw new Error(
`cannot encode message ${e.$typeName} to JSON: "${e.typeUrl}" is not in the type registry`);let s=Ge(o)?{value:st(o)(t,r)}:st(o)(t,r);return s["@type"]=e.typeUrl,
s}function Xi(e){let t=Number(e.seconds),n=e.nanos;if(t>ot||t<rt)throw new Error(`cannot encode message ${e.$typeName} to JSON: value out of range`);if(t>0&&n<0||
t<0&&n>0)throw new Error(`cannot encode message ${e.$typeName} to JSON: nanos sign must match seconds sign`);let r=e.seconds.toString();if(n!==0){let o=Math.abs(
n).toString();o="0".repeat(9-o.length)+o,o.substring(3)==="000000"?o=o.substring(0,3):o.substring(6)==="000"&&(o=o.substring(0,6)),r+="."+o,n<0&&t==0&&(r="-"+r)}
return r+"s"}function Yi(e){return e.paths.map(t=>{if($e($(t))!==t)throw new Error(`cannot encode message ${e.$typeName} to JSON: lowerCamelCase of path name "${t}\
" is irreversible`);return $(t)}).join(",")}function Qo(e){let t={},n=Object.keys(e.fields);for(let r=0;r<n.length;r++){let o=n[r];C(t,o,yn(e.fields[o]))}return t}
function yn(e){switch(e.kind.case){case"nullValue":return null;case"numberValue":if(!Number.isFinite(e.kind.value))throw new Error(`${e.$typeName} cannot be NaN\
 or Infinity`);return e.kind.value;case"boolValue":return e.kind.value;case"stringValue":return e.kind.value;case"structValue":return Qo(e.kind.value);case"list\
Value":return jo(e.kind.value);default:throw new Error(`${e.$typeName} must have a value`)}}function jo(e){return e.values.map(yn)}function Pi(e){let t=Number(e.
seconds)*1e3;if(t<tt||t>nt)throw new Error(`cannot encode message ${e.$typeName} to JSON: must be from 0001-01-01T00:00:00Z to 9999-12-31T23:59:59Z inclusive`);
if(e.nanos<0)throw new Error(`cannot encode message ${e.$typeName} to JSON: nanos must not be negative`);if(e.nanos>999999999)throw new Error(`cannot encode mes\
sage ${e.$typeName} to JSON: nanos must not be greater than 999999999`);let n="Z";if(e.nanos>0){let r=(e.nanos+1e9).toString().substring(1);r.substring(3)==="00\
0000"?n="."+r.substring(0,3)+"Z":r.substring(6)==="000"?n="."+r.substring(0,6)+"Z":n="."+r+"Z"}return new Date(t).toISOString().replace(".000Z",n)}var Wi=2;function Ki(e){return Object.assign(Object.assign({ignoreUnknownFields:!1,recursionLimit:100},e),{depth:0})}function qo(e,t,n){return $i(e,oc(t,e.typeName),
n)}function $i(e,t,n){let r=T(e);return Ji(e,r,t,n),r}function Ji(e,t,n,r){try{me(e)(t,n,Ki(r))}catch(o){throw Ar(o)?new Error(`cannot decode ${o.field()} from JSON: ${o.message}`,{cause:o}):o}}var En=new WeakMap;function me(e){let t=En.get(e);return t===void 0&&(t=Hi(e)),t}function Hi(e){let t=String(e),n=Qi(e);if(n!==void 0){let a=(i,c,u)=>{if(++u.depth>
u.recursionLimit)throw new Error(`cannot decode ${t} from JSON: maximum recursion depth of ${u.recursionLimit} reached`);n(i,c,u),u.depth--};return En.set(e,a),
a}let r=e.typeName,o=new Map,s=(a,i,c)=>{var u;if(++c.depth>c.recursionLimit)throw new Error(`cannot decode ${t} from JSON: maximum recursion depth of ${c.recursionLimit}\
 reached`);if(i==null||Array.isArray(i)||typeof i!="object")throw new Error(`cannot decode ${t} from JSON: ${F(i)}`);let m=new Map,p=new Set,h=Object.keys(i);for(let d=0;d<
h.length;d++){let f=h[d],b=i[f],E=o.get(f);if(E!==void 0){let S=E.field;if(p.has(S))throw new v(S,"set multiple times");if(p.add(S),E.oneofScalarNullSkip&&b===null)
continue;if(E.oneof){let R=m.get(E.oneof);if(R!==void 0)throw new v(E.oneof,`oneof set multiple times by ${R.name} and ${S.name}`);m.set(E.oneof,S)}E.read(a,b,c)}else{
let S=f.startsWith("[")&&f.endsWith("]")?(u=c.registry)===null||u===void 0?void 0:u.getExtension(f.substring(1,f.length-1)):void 0;if(S?.extendee.typeName==r){let[
R,A,V]=ue(S);zo(A)(R[U],b,c),Xo(a,S,V())}if(S===void 0&&!c.ignoreUnknownFields)throw new Error(`cannot decode ${t} from JSON: key "${f}" is unknown`)}}c.depth--};
En.set(e,s);for(let a of e.fields){let i={read:zo(a),field:a,oneof:a.oneof,oneofScalarNullSkip:a.oneof!==void 0&&a.fieldKind=="scalar"};o.set(a.name,i).set(a.jsonName,
i)}return s}function Qi(e){if(e.typeName.startsWith("google.protobuf."))switch(e.typeName){case"google.protobuf.Any":return(t,n,r)=>ac(t,n,r);case"google.protob\
uf.Timestamp":return(t,n)=>ic(t,n);case"google.protobuf.Duration":return(t,n)=>cc(t,n);case"google.protobuf.FieldMask":return(t,n)=>uc(t,n);case"google.protobuf\
.Struct":return(t,n,r)=>rs(t,n,r);case"google.protobuf.Value":return(t,n,r)=>vn(t,n,r);case"google.protobuf.ListValue":return(t,n,r)=>os(t,n,r);default:if(G(e)){
let t=e.fields[0],n=t.localName,r=t.scalar,o=t.longAsString,s=ts(t);return(a,i)=>{i===null?a[n]=k(r,o):a[n]=s(i)}}return}}function zo(e){switch(e.fieldKind){case"\
scalar":return ji(e);case"enum":return zi(e);case"message":return qi(e);case"list":return ec(e);case"map":return nc(e)}}function ji(e){let t=ts(e),n=e.localName;
if(e.oneof){let o=e.oneof.localName;return(s,a)=>{s[o]={case:n,value:t(a)}}}let r=es(e);return(o,s)=>{s===null?r(o):o[n]=t(s)}}function es(e){let t=e.localName;
if(e.presence!=Wi)return o=>{delete o[t]};if(e.fieldKind=="enum"){let o=e.enum.values[0].number;return s=>{s[t]=o}}let n=e.scalar,r=e.longAsString;return o=>{o[t]=
k(n,r)}}function zi(e){let t=Nn(e.enum),n=Sn(e.enum),r=e.localName,o=e.enum.typeName!="google.protobuf.NullValue";if(e.oneof){let a=e.oneof.localName;return(i,c,u)=>{
if(c===null&&o){i[a].case===r&&(i[a]={case:void 0});return}let m=t(c,u.ignoreUnknownFields);if(m===de)return;let p=n(m);if(p!==!0)throw new v(e,Z(e,m,p));i[a]={
case:r,value:m}}}let s=es(e);return(a,i,c)=>{if(i===null&&o){s(a);return}let u=t(i,c.ignoreUnknownFields);if(u===de)return;let m=n(u);if(m!==!0)throw new v(e,Z(
e,u,m));a[r]=u}}function qi(e){let t=e.localName,{toMessage:n,toLocal:r}=O(e),o=me(e.message),s=e.message.typeName!="google.protobuf.Value";if(e.oneof){let a=e.
oneof.localName;return(i,c,u)=>{let m=i[a];if(c===null&&s){m.case===t&&(i[a]={case:void 0});return}let p=n(m.case===t?m.value:void 0);o(p,c,u),i[a]={case:t,value:r(
p)}}}return(a,i,c)=>{if(i===null&&s){delete a[t];return}let u=n(a[t]);o(u,i,c),a[t]=r(u)}}function ec(e){let t=e.localName,n=tc(e);return(r,o,s)=>{if(o===null)return;
if(!Array.isArray(o))throw new v(e,"expected Array, got "+F(o));let a=r[t];for(let i=0;i<o.length;i++){let c=n(o[i],s,a.length);c!==de&&a.push(c)}}}function tc(e){
switch(e.listKind){case"scalar":{let t=In(e),n=K(e.scalar),r=xn(e);return(o,s,a)=>{if(o===null)throw new v(e,"list item must not be null");let i=t(o),c=n(i);if(c!==
!0)throw new v(e,`list item #${a+1}: ${Z(e,i,c)}`);return r(i)}}case"enum":{let t=Nn(e.enum),n=Sn(e.enum),r=e.enum.typeName!="google.protobuf.NullValue";return(o,s,a)=>{
if(o===null&&r)throw new v(e,"list item must not be null");let i=t(o,s.ignoreUnknownFields);if(i===de)return i;let c=n(i);if(c!==!0)throw new v(e,`list item #${a+
1}: ${Z(e,i,c)}`);return i}}case"message":{let{toMessage:t,toLocal:n}=O(e),r=me(e.message),o=e.message.typeName!="google.protobuf.Value";return(s,a)=>{if(s===null&&
o)throw new v(e,"list item must not be null");let i=t(void 0);return r(i,s,a),n(i)}}}}function nc(e){let t=e.localName,n=e.mapKey,r=rc(n),o=K(n),s,a,i=u=>u,c=!0;
switch(e.mapKind){case"scalar":{s=In(e),a=K(e.scalar),i=xn(e);break}case"enum":{let u=Nn(e.enum);s=(m,p)=>u(m,p.ignoreUnknownFields),a=Sn(e.enum),c=e.enum.typeName!=
"google.protobuf.NullValue";break}case"message":{let{toMessage:u,toLocal:m}=O(e),p=me(e.message);c=e.message.typeName!="google.protobuf.Value",s=(h,d)=>{let f=u(
void 0);return p(f,h,d),m(f)};break}}return(u,m,p)=>{if(m===null)return;if(typeof m!="object"||Array.isArray(m))throw new v(e,"expected object, got "+F(m));let h=u[t],
d=new Set,f=Object.keys(m);for(let b=0;b<f.length;b++){let E=f[b],S=m[E],R=r(E);if(d.has(R))throw new v(e,`duplicate map key "${E}"`);if(d.add(R),S===null&&c)throw new v(
e,"map value must not be null");let A=s(S,p);if(A===de)continue;let V=o(R);if(V!==!0)throw new v(e,`invalid map key: ${Z({scalar:n},R,V)}`);if(a!==void 0){let D=a(
A);if(D!==!0)throw new v(e,`map entry ${F(R)}: ${Z(e,A,D)}`)}C(h,R,i(A))}}}var de=Symbol();function Nn(e){let t=e.values[0].number,n=new Map;for(let r of e.values)
n.set(r.jsonName,r.number);for(let r of e.values)n.set(r.name,r.number);return(r,o)=>{if(r===null)return t;switch(typeof r){case"number":if(Number.isInteger(r))
return r;break;case"string":{let s=n.get(r);if(s!==void 0)return s;if(o)return de;break}}throw new Error(`cannot decode ${e} from JSON: ${F(r)}`)}}function Sn(e){
if(e.open)return K(l.INT32);let t=e.values;return n=>t.some(r=>r.number===n)}function ts(e){let t=In(e),n=K(e.scalar),r=xn(e);return o=>{let s=t(o),a=n(s);if(a!==
!0)throw new v(e,Z(e,s,a));return r(s)}}function In(e){switch(e.scalar){case l.DOUBLE:case l.FLOAT:return t=>{if(t==="NaN")return NaN;if(t==="Infinity")return Number.
POSITIVE_INFINITY;if(t==="-Infinity")return Number.NEGATIVE_INFINITY;if(typeof t=="number"){if(Number.isNaN(t))throw new v(e,"unexpected NaN number");if(!Number.
isFinite(t))throw new v(e,"unexpected infinite number");return t}if(typeof t=="string"){if(t===""||t.trim().length!==t.length)return t;let n=Number(t);return Number.
isFinite(n)?n:t}return t};case l.INT32:case l.FIXED32:case l.SFIXED32:case l.SINT32:case l.UINT32:return ns;case l.BYTES:return t=>{if(typeof t=="string"){if(t===
"")return new Uint8Array(0);try{return ie(t)}catch(n){let r=n instanceof Error?n.message:String(n);throw new v(e,r)}}return t};default:return t=>t}}function xn(e){
let t=e.fieldKind!=="map"&&e.longAsString;switch(e.scalar){case l.INT64:case l.SFIXED64:case l.SINT64:return t?n=>String(n):n=>typeof n=="string"||typeof n=="nu\
mber"?x.parse(n):n;case l.FIXED64:case l.UINT64:return t?n=>String(n):n=>typeof n=="string"||typeof n=="number"?x.uParse(n):n;default:return n=>n}}function rc(e){
switch(e){case l.BOOL:return t=>{switch(t){case"true":return!0;case"false":return!1}return t};case l.INT32:case l.FIXED32:case l.UINT32:case l.SFIXED32:case l.SINT32:
return ns;case l.INT64:case l.SINT64:case l.SFIXED64:case l.UINT64:case l.FIXED64:return t=>/^-?0+$/.test(t)?"0":t.replace(/^(-?)0+(?=\d)/,"$1");default:return t=>t}}
function ns(e){if(typeof e=="string"){if(e===""||e.trim().length!==e.length)return e;let t=Number(e);return Number.isNaN(t)?e:t}return e}function oc(e,t){let n;
try{n=JSON.parse(e)}catch(r){let o=r instanceof Error?r.message:String(r);throw new Error(`cannot decode message ${t} from JSON: ${o}`,{cause:r})}return sc(e,t),
n}function sc(e,t){let n=[],r=!1,o=0;for(;o<e.length;)switch(e[o]){case"{":n.push(new Set),r=!0,o++;break;case"[":n.push(null),r=!1,o++;break;case"}":case"]":n.
pop(),r=!1,o++;break;case",":r=n[n.length-1]!=null,o++;break;case":":r=!1,o++;break;case'"':{let s=o++,a=!1;for(;o<e.length;){if(e[o]=="\\"){a=!0,o+=2;continue}
if(e[o]=='"')break;o++}let i=o++,c=n[n.length-1];if(r&&c){let u=a?JSON.parse(e.substring(s,i+1)):e.substring(s+1,i);if(c.has(u))throw new Error(`cannot decode m\
essage ${t} from JSON: duplicate object key "${u}"`);c.add(u)}r=!1;break}default:o++;break}}function ac(e,t,n){var r;if(t===null||Array.isArray(t)||typeof t!="o\
bject")throw new Error(`cannot decode message ${e.$typeName} from JSON: expected object but got ${F(t)}`);if(Object.keys(t).length==0)return;let o=t["@type"];if(typeof o!=
"string"||o=="")throw new Error(`cannot decode message ${e.$typeName} from JSON: "@type" is empty`);let s=o.includes("/")?o.substring(o.lastIndexOf("/")+1):o;if(!s.
length)throw new Error(`cannot decode message ${e.$typeName} from JSON: "@type" is invalid`);let a=(r=n.registry)===null||r===void 0?void 0:r.getMessage(s);if(!a)
throw new Error(`cannot decode message ${e.$typeName} from JSON: ${o} is not in the type registry`);let i=T(a);if(Ge(a)&&Object.prototype.hasOwnProperty.call(t,
"value"))me(a)(i,t.value,n);else{let c={};for(let u of Object.keys(t))u!=="@type"&&C(c,u,t[u]);me(a)(i,c,n)}Mo(a,i,e)}function ic(e,t){if(typeof t!="string")throw new Error(
`cannot decode message ${e.$typeName} from JSON: ${F(t)}`);let n=t.match(/^([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?(?:Z|([+-][0-9][0-9]:[0-9][0-9]))$/);
if(!n)throw new Error(`cannot decode message ${e.$typeName} from JSON: invalid RFC 3339 string`);let r=Date.parse(n[1]+"-"+n[2]+"-"+n[3]+"T"+n[4]+":"+n[5]+":"+n[6]+
(n[8]?n[8]:"Z"));if(Number.isNaN(r))throw new Error(`cannot decode message ${e.$typeName} from JSON: invalid RFC 3339 string`);if(r<tt||r>nt)throw new Error(`ca\
nnot decode message ${e.$typeName} from JSON: must be from 0001-01-01T00:00:00Z to 9999-12-31T23:59:59Z inclusive`);e.seconds=x.parse(r/1e3),e.nanos=0,n[7]&&(e.
nanos=parseInt("1"+n[7]+"0".repeat(9-n[7].length))-1e9)}function cc(e,t){if(typeof t!="string")throw new Error(`cannot decode message ${e.$typeName} from JSON: ${F(
t)}`);let n=t.match(/^(-?[0-9]+)(?:\.([0-9]+))?s/);if(n===null)throw new Error(`cannot decode message ${e.$typeName} from JSON: ${F(t)}`);let r=Number(n[1]);if(r>
ot||r<rt)throw new Error(`cannot decode message ${e.$typeName} from JSON: ${F(t)}`);if(e.seconds=x.parse(r),typeof n[2]!="string")return;let o=n[2]+"0".repeat(9-
n[2].length);e.nanos=parseInt(o),(r<0||Object.is(r,-0))&&(e.nanos=-e.nanos)}function uc(e,t){if(typeof t!="string")throw new Error(`cannot decode message ${e.$typeName}\
 from JSON: ${F(t)}`);t!==""&&(e.paths=t.split(",").map(n=>{if(n.includes("_"))throw new Error(`cannot decode message ${e.$typeName} from JSON: path names must \
be lowerCamelCase`);return $e(n)}))}function rs(e,t,n){if(typeof t!="object"||t==null||Array.isArray(t))throw new Error(`cannot decode message ${e.$typeName} fr\
om JSON ${F(t)}`);let r=Object.keys(t);for(let o=0;o<r.length;o++){let s=r[o],a=T(fn);vn(a,t[s],n),C(e.fields,s,a)}}function vn(e,t,n){if(++n.depth>n.recursionLimit)
throw new Error(`cannot decode ${e.$typeName} from JSON: maximum recursion depth of ${n.recursionLimit} reached`);switch(typeof t){case"number":e.kind={case:"nu\
mberValue",value:t};break;case"string":e.kind={case:"stringValue",value:t};break;case"boolean":e.kind={case:"boolValue",value:t};break;case"object":if(t===null)
e.kind={case:"nullValue",value:et.NULL_VALUE};else if(Array.isArray(t)){let r=T(_o);os(r,t,n),e.kind={case:"listValue",value:r}}else{let r=T(Go);rs(r,t,n),e.kind=
{case:"structValue",value:r}}break;default:throw new Error(`cannot decode message ${e.$typeName} from JSON ${F(t)}`)}return n.depth--,e}function os(e,t,n){if(!Array.
isArray(t))throw new Error(`cannot decode message ${e.$typeName} from JSON ${F(t)}`);for(let r=0;r<t.length;r++){let o=T(fn);vn(o,t[r],n),e.values.push(o)}}var y;(function(e){e[e.Canceled=1]="Canceled",e[e.Unknown=2]="Unknown",e[e.InvalidArgument=3]="InvalidArgument",e[e.DeadlineExceeded=4]="DeadlineExceeded",e[e.NotFound=
5]="NotFound",e[e.AlreadyExists=6]="AlreadyExists",e[e.PermissionDenied=7]="PermissionDenied",e[e.ResourceExhausted=8]="ResourceExhausted",e[e.FailedPrecondition=
9]="FailedPrecondition",e[e.Aborted=10]="Aborted",e[e.OutOfRange=11]="OutOfRange",e[e.Unimplemented=12]="Unimplemented",e[e.Internal=13]="Internal",e[e.Unavailable=
14]="Unavailable",e[e.DataLoss=15]="DataLoss",e[e.Unauthenticated=16]="Unauthenticated"})(y||(y={}));function An(e){let t=y[e];return typeof t!="string"?e.toString():t[0].toLowerCase()+t.substring(1).replace(/[A-Z]/g,n=>"_"+n.toLowerCase())}var I=class e extends Error{constructor(t,n=y.Unknown,r,o,s){super(lc(t,n)),this.name="ConnectError",this.isWireError=!1,Object.setPrototypeOf(this,new.target.prototype),
this.rawMessage=t,this.code=n,this.metadata=new Headers(r??{}),this.details=o??[],this.cause=s}static from(t,n=y.Unknown){return t instanceof e?t:t instanceof Error?
t.name=="AbortError"||t.name=="TimeoutError"?new e(t.message,y.Canceled):new e(t.message,n,void 0,void 0,t):new e(String(t),n,void 0,void 0,t)}static[Symbol.hasInstance](t){
return t instanceof Error?Object.getPrototypeOf(t)===e.prototype?!0:t.name==="ConnectError"&&"code"in t&&typeof t.code=="number"&&"metadata"in t&&"details"in t&&
Array.isArray(t.details)&&"rawMessage"in t&&typeof t.rawMessage=="string"&&"cause"in t:!1}findDetails(t){let n=t.kind==="message"?{getMessage:o=>o===t.typeName?
t:void 0}:t,r=[];for(let o of this.details){if("desc"in o){n.getMessage(o.desc.typeName)&&r.push(T(o.desc,o.value));continue}let s=n.getMessage(o.type);if(s)try{
r.push(P(s,o.value))}catch{}}return r}};function lc(e,t){return e.length?`[${An(t)}] ${e}`:`[${An(t)}]`}function ss(e,t,n){try{let r=ie(e);return t?P(t,r,n):r}catch(r){throw I.from(r,y.DataLoss)}}function as(e,t){let n={};for(let r of e.methods){let o=t(r);o!=null&&(n[r.localName]=o)}return n}var it=1;function is(e,t,n=!1){if(t>e){let r=`message size is larger than configured readMaxBytes ${e}`;throw n&&(r=`message size ${t} is larger than configured readMaxB\
ytes ${e}`),new I(r,y.ResourceExhausted)}}function mc(e){return new wn(e)}var wn=class{constructor(t){this.readMaxBytes=t,this.header=new Uint8Array(5),this.headerView=new DataView(this.header.buffer),this.
buf=[]}get byteLength(){return this.buf.reduce((t,n)=>t+n.byteLength,0)}decode(t){this.buf.push(t);let n=[];for(;;){let r=this.pop();if(!r)break;n.push(r)}return n}pop(){
if(!(!this.env&&(this.env=this.head(),!this.env))&&this.cons(this.env.data)){let t=this.env;return this.env=void 0,t}}head(){if(!this.cons(this.header))return;let t=this.
headerView.getUint8(0),n=this.headerView.getUint32(1);return is(this.readMaxBytes,n,!0),{flags:t,data:new Uint8Array(n)}}cons(t){let n=t.byteLength;if(this.byteLength<
n)return!1;let r=0;for(;r<n;){let o=this.buf.shift();o.byteLength>n-r?(t.set(o.subarray(0,n-r),r),this.buf.unshift(o.subarray(n-r)),r+=n-r):(t.set(o,r),r+=o.byteLength)}
return!0}};function ct(e){let t,n=mc(4294967295);return new ReadableStream({start(){t=e.getReader()},async pull(r){let o=!1;for(;!o;){let s=await t.read();if(s.
done)n.byteLength>0&&r.error(new I("protocol error: incomplete envelope",y.InvalidArgument)),r.close();else for(let a of n.decode(s.value))r.enqueue(a),o=!0}}})}function ut(e,t){let n=new Uint8Array(t.length+5);n.set(t,5);let r=new DataView(n.buffer,n.byteOffset,n.byteLength);return r.setUint8(0,e),r.setUint32(1,t.length),
n}var dc=function(e){if(!Symbol.asyncIterator)throw new TypeError("Symbol.asyncIterator is not defined.");var t=e[Symbol.asyncIterator],n;return t?t.call(e):(e=typeof __values==
"function"?__values(e):e[Symbol.iterator](),n={},r("next"),r("throw"),r("return"),n[Symbol.asyncIterator]=function(){return this},n);function r(s){n[s]=e[s]&&function(a){
return new Promise(function(i,c){a=e[s](a),o(i,c,a.done,a.value)})}}function o(s,a,i,c){Promise.resolve(c).then(function(u){s({value:u,done:i})},a)}},Ve=function(e){
return this instanceof Ve?(this.v=e,this):new Ve(e)},fc=function(e,t,n){if(!Symbol.asyncIterator)throw new TypeError("Symbol.asyncIterator is not defined.");var r=n.
apply(e,t||[]),o,s=[];return o=Object.create((typeof AsyncIterator=="function"?AsyncIterator:Object).prototype),i("next"),i("throw"),i("return",a),o[Symbol.asyncIterator]=
function(){return this},o;function a(d){return function(f){return Promise.resolve(f).then(d,p)}}function i(d,f){r[d]&&(o[d]=function(b){return new Promise(function(E,S){
s.push([d,b,E,S])>1||c(d,b)})},f&&(o[d]=f(o[d])))}function c(d,f){try{u(r[d](f))}catch(b){h(s[0][3],b)}}function u(d){d.value instanceof Ve?Promise.resolve(d.value.
v).then(m,p):h(s[0][2],d)}function m(d){c("next",d)}function p(d){c("throw",d)}function h(d,f){d(f),s.shift(),s.length&&c(s[0][0],s[0][1])}},pc=function(e){var t,
n;return t={},r("next"),r("throw",function(o){throw o}),r("return"),t[Symbol.iterator]=function(){return this},t;function r(o,s){t[o]=e[o]?function(a){return(n=
!n)?{value:Ve(e[o](a)),done:!1}:s?s(a):a}:s}};function cs(e){return fc(this,arguments,function*(){yield Ve(yield*pc(dc(e)))})}var us=function(e){if(!Symbol.asyncIterator)throw new TypeError("Symbol.asyncIterator is not defined.");var t=e[Symbol.asyncIterator],n;return t?t.call(e):(e=typeof __values==
"function"?__values(e):e[Symbol.iterator](),n={},r("next"),r("throw"),r("return"),n[Symbol.asyncIterator]=function(){return this},n);function r(s){n[s]=e[s]&&function(a){
return new Promise(function(i,c){a=e[s](a),o(i,c,a.done,a.value)})}}function o(s,a,i,c){Promise.resolve(c).then(function(u){s({value:u,done:i})},a)}},fe=function(e){
return this instanceof fe?(this.v=e,this):new fe(e)},hc=function(e){var t,n;return t={},r("next"),r("throw",function(o){throw o}),r("return"),t[Symbol.iterator]=
function(){return this},t;function r(o,s){t[o]=e[o]?function(a){return(n=!n)?{value:fe(e[o](a)),done:!1}:s?s(a):a}:s}},gc=function(e,t,n){if(!Symbol.asyncIterator)
throw new TypeError("Symbol.asyncIterator is not defined.");var r=n.apply(e,t||[]),o,s=[];return o=Object.create((typeof AsyncIterator=="function"?AsyncIterator:
Object).prototype),i("next"),i("throw"),i("return",a),o[Symbol.asyncIterator]=function(){return this},o;function a(d){return function(f){return Promise.resolve(
f).then(d,p)}}function i(d,f){r[d]&&(o[d]=function(b){return new Promise(function(E,S){s.push([d,b,E,S])>1||c(d,b)})},f&&(o[d]=f(o[d])))}function c(d,f){try{u(r[d](
f))}catch(b){h(s[0][3],b)}}function u(d){d.value instanceof fe?Promise.resolve(d.value.v).then(m,p):h(s[0][2],d)}function m(d){c("next",d)}function p(d){c("thro\
w",d)}function h(d,f){d(f),s.shift(),s.length&&c(s[0][0],s[0][1])}};function Tn(e,t){return as(e,n=>{switch(n.methodKind){case"unary":return bc(t,n);case"server\
_streaming":return yc(t,n);case"client_streaming":return Ec(t,n);case"bidi_streaming":return Nc(t,n);default:return null}})}function bc(e,t){return async(n,r)=>{
var o,s;let a=await e.unary(t,r?.signal,r?.timeoutMs,r?.headers,n,r?.contextValues);return(o=r?.onHeader)===null||o===void 0||o.call(r,a.header),(s=r?.onTrailer)===
null||s===void 0||s.call(r,a.trailer),a.message}}function yc(e,t){return(n,r)=>ls(e.stream(t,r?.signal,r?.timeoutMs,r?.headers,cs([n]),r?.contextValues),r)}function Ec(e,t){
return async(n,r)=>{var o,s,a,i,c,u;let m=await e.stream(t,r?.signal,r?.timeoutMs,r?.headers,n,r?.contextValues);(c=r?.onHeader)===null||c===void 0||c.call(r,m.
header);let p,h=0;try{for(var d=!0,f=us(m.message),b;b=await f.next(),o=b.done,!o;d=!0)i=b.value,d=!1,p=i,h++}catch(E){s={error:E}}finally{try{!d&&!o&&(a=f.return)&&
await a.call(f)}finally{if(s)throw s.error}}if(!p)throw new I("protocol error: missing response message",y.Unimplemented);if(h>1)throw new I("protocol error: re\
ceived extra messages for client streaming method",y.Unimplemented);return(u=r?.onTrailer)===null||u===void 0||u.call(r,m.trailer),p}}function Nc(e,t){return(n,r)=>ls(
e.stream(t,r?.signal,r?.timeoutMs,r?.headers,n,r?.contextValues),r)}function ls(e,t){let n=(function(){return gc(this,arguments,function*(){var r,o;let s=yield fe(
e);(r=t?.onHeader)===null||r===void 0||r.call(t,s.header),yield fe(yield*hc(us(s.message))),(o=t?.onTrailer)===null||o===void 0||o.call(t,s.trailer)})})()[Symbol.
asyncIterator]();return{[Symbol.asyncIterator]:()=>({next:()=>n.next()})}}function ms(...e){let t=new AbortController,n=e.filter(o=>o!==void 0).concat(t.signal);for(let o of n){if(o.aborted){r.apply(o);break}o.addEventListener("abort",
r)}function r(){t.signal.aborted||t.abort(lt(this));for(let o of n)o.removeEventListener("abort",r)}return t}function ds(e){let t=new AbortController,n=()=>{t.abort(
new I("the operation timed out",y.DeadlineExceeded))},r;return e!==void 0&&(e<=0?n():r=setTimeout(n,e)),{signal:t.signal,cleanup:()=>clearTimeout(r)}}function lt(e){
if(!e.aborted)return;if(e.reason!==void 0)return e.reason;let t=new Error("This operation was aborted");return t.name="AbortError",t}function mt(){return{get(e){return e.id in this?this[e.id]:e.defaultValue},set(e,t){return this[e.id]=t,this},delete(e){return delete this[e.id],this}}}function dt(e){let t=new Headers,n=new TextDecoder().decode(e).split(`\r
`);for(let r of n){if(r==="")continue;let o=r.indexOf(":");if(o>0){let s=r.substring(0,o).trim(),a=r.substring(o+1).trim();t.append(s,a)}}return t}var Rn="Content-Type";var Vn="Grpc-Timeout",W="Grpc-Status",Fe="Grpc-Message";var Fn="Grpc-Status-Details-Bin";var ft="User-Agent";var Ln="X-User-Agent",ps="X-Grpc-Web";var hs="application/grpc-web+proto",gs="application/grpc-web+json";function bs(e,t,...n){if(n.length>0)throw new Error;return e.services[t]}var Ic=B("CgxzdGF0dXMucHJvdG8SCmdvb2dsZS5ycGMiTgoGU3RhdHVzEgwKBGNvZGUYASABKAUSDwoHbWVzc2FnZRgCIAEoCRIlCgdkZXRhaWxzGAMgAygLMhQuZ29vZ2xlLnByb3RvYnVmLkFueUJeCg5jb2\
0uZ29vZ2xlLnJwY0ILU3RhdHVzUHJvdG9QAVo3Z29vZ2xlLmdvbGFuZy5vcmcvZ2VucHJvdG8vZ29vZ2xlYXBpcy9ycGMvc3RhdHVzO3N0YXR1c6ICA1JQQ2IGcHJvdG8z",[mn]),ys=M(Ic,0);var Es="0";function pt(e){var t;let n=e.get(Fn);if(n!=null){let o=ss(n,ys);if(o.code==0)return;let s=new I(o.message,o.code,e);return s.details=o.details.map(a=>({type:a.typeUrl.
substring(a.typeUrl.lastIndexOf("/")+1),value:a.value})),s.isWireError=!0,s}let r=e.get(W);if(r!=null){if(r===Es)return;let o=parseInt(r,10),s;return o in y?s=new I(
decodeURIComponent((t=e.get(Fe))!==null&&t!==void 0?t:""),o,e):s=new I(`invalid grpc-status: ${r}`,y.Internal,e),s.isWireError=!0,s}}function ht(e,t){return e.toString().replace(/\/?$/,`/${t.parent.typeName}/${t.name}`)}function Un(e,t){return T(e,t)}function Ns(e,t){function n(r){return r.done===!0?r:{done:r.done,value:Un(e,r.value)}}return{[Symbol.asyncIterator](){let r=t[Symbol.
asyncIterator](),o={next:()=>r.next().then(n)};return r.throw!==void 0&&(o.throw=s=>r.throw(s).then(n)),r.return!==void 0&&(o.return=s=>r.return(s).then(n)),o}}}function Cn(e,t){if(!t)return e;for(let n of t.concat().reverse())e=n(e);return e}function xs(e){var t;let n=Object.assign({},e);return(t=n.ignoreUnknownFields)!==null&&t!==void 0||(n.ignoreUnknownFields=!0),n}function gt(e,t,n,r){let o=t?Ss(e.input,r):Is(e.input,n);return{parse:(t?Ss(e.output,r):Is(e.output,n)).parse,serialize:o.serialize}}function Ss(e,t){return{parse(n){try{return P(e,n,t)}catch(r){let o=r instanceof Error?r.message:String(r);throw new I(`parse binary: ${o}`,y.Internal)}},serialize(n){
try{return Q(e,n,t)}catch(r){let o=r instanceof Error?r.message:String(r);throw new I(`serialize binary: ${o}`,y.Internal)}}}}function Is(e,t){var n,r;let o=(n=
t?.textEncoder)!==null&&n!==void 0?n:new TextEncoder,s=(r=t?.textDecoder)!==null&&r!==void 0?r:new TextDecoder,a=xs(t);return{parse(i){try{let c=s.decode(i);return qo(
e,c,a)}catch(c){throw I.from(c,y.InvalidArgument)}},serialize(i){try{let c=Ko(e,i,a);return o.encode(c)}catch(c){throw I.from(c,y.Internal)}}}}function Dn(e){let t=Cn(e.next,e.interceptors),[n,r,o]=vs(e),s=Object.assign(Object.assign({},e.req),{message:Un(e.req.method.input,e.req.message),signal:n});return t(
s).then(a=>(o(),a),r)}function kn(e){let t=Cn(e.next,e.interceptors),[n,r,o]=vs(e),s=Object.assign(Object.assign({},e.req),{message:Ns(e.req.method.input,e.req.
message),signal:n}),a=!1;return n.addEventListener("abort",function(){var i,c;let u=e.req.message[Symbol.asyncIterator]();a||(i=u.throw)===null||i===void 0||i.call(
u,this.reason).catch(()=>{}),(c=u.return)===null||c===void 0||c.call(u).catch(()=>{})}),t(s).then(i=>Object.assign(Object.assign({},i),{message:{[Symbol.asyncIterator](){
let c=i.message[Symbol.asyncIterator]();return{next(){return!a&&n.aborted?r(lt(n)):c.next().then(u=>(u.done==!0&&(a=!0,o()),u),r)}}}}}),r)}function vs(e){let{signal:t,
cleanup:n}=ds(e.timeoutMs),r=ms(e.signal,t);return[r.signal,function(s){let a=r.signal.aborted?I.from(lt(r.signal),y.Canceled):I.from(s);return r.abort(a),n(),Promise.
reject(a)},function(){n(),r.abort()}]}function As(){try{new Headers}catch{throw new Error("connect-web requires the fetch API. Are you running on an old version of Node.js? Node.js is not supported \
in Connect for Web - please stay tuned for Connect for Node.")}}function Le(e,t){let n=pt(e);if(n)throw t.forEach((r,o)=>{n.metadata.append(o,r)}),n;if(!t.has(W)&&!e.has(W))throw new I("protocol error: missing status",y.Internal)}function bt(e,t,n,r){var o,s;let a=new Headers(n??{});a.set(Rn,e?hs:gs),a.set(ps,"1");let i=(s=(o=a.get(ft))!==null&&o!==void 0?o:a.get(Ln))!==null&&s!==void 0?
s:"connect-es/2.2.0";return a.set(Ln,i),r&&a.set(ft,i),t!==void 0&&a.set(Vn,`${t}m`),a}function ws(e){switch(e){case 400:return y.Internal;case 401:return y.Unauthenticated;case 403:return y.PermissionDenied;case 404:return y.Unimplemented;case 429:
return y.Unavailable;case 502:return y.Unavailable;case 503:return y.Unavailable;case 504:return y.Unavailable;default:return y.Unknown}}function yt(e,t){var n;if(e>=200&&e<300)return{foundStatus:t.has(W),headerError:pt(t)};throw new I(decodeURIComponent((n=t.get(Fe))!==null&&n!==void 0?n:`HTTP ${e}`),
ws(e),t)}var ee=function(e){return this instanceof ee?(this.v=e,this):new ee(e)},xc=function(e,t,n){if(!Symbol.asyncIterator)throw new TypeError("Symbol.asyncIterator is\
 not defined.");var r=n.apply(e,t||[]),o,s=[];return o=Object.create((typeof AsyncIterator=="function"?AsyncIterator:Object).prototype),i("next"),i("throw"),i("\
return",a),o[Symbol.asyncIterator]=function(){return this},o;function a(d){return function(f){return Promise.resolve(f).then(d,p)}}function i(d,f){r[d]&&(o[d]=function(b){
return new Promise(function(E,S){s.push([d,b,E,S])>1||c(d,b)})},f&&(o[d]=f(o[d])))}function c(d,f){try{u(r[d](f))}catch(b){h(s[0][3],b)}}function u(d){d.value instanceof
ee?Promise.resolve(d.value.v).then(m,p):h(s[0][2],d)}function m(d){c("next",d)}function p(d){c("throw",d)}function h(d,f){d(f),s.shift(),s.length&&c(s[0][0],s[0][1])}},
Ts={redirect:"error"};function Mn(e){var t;As();let n=(t=e.useBinaryFormat)!==null&&t!==void 0?t:!0;return{async unary(r,o,s,a,i,c){let{serialize:u,parse:m}=gt(
r,n,e.jsonOptions,e.binaryOptions);return s=s===void 0?e.defaultTimeoutMs:s<=0?void 0:s,await Dn({interceptors:e.interceptors,signal:o,timeoutMs:s,req:{stream:!1,
service:r.parent,method:r,requestMethod:"POST",url:ht(e.baseUrl,r),header:bt(n,s,a,!1),contextValues:c??mt(),message:i},next:async p=>{var h;let f=await((h=e.fetch)!==
null&&h!==void 0?h:globalThis.fetch)(p.url,Object.assign(Object.assign({},Ts),{method:p.requestMethod,headers:p.header,signal:p.signal,body:ut(0,u(p.message))})),
{headerError:b}=yt(f.status,f.headers);if(!f.body)throw b!==void 0?b:"missing response body";let E=ct(f.body).getReader(),S,R;for(;;){let A=await E.read();if(A.
done)break;let{flags:V,data:D}=A.value;if((V&it)===it)throw new I("protocol error: received unsupported compressed output",y.Internal);if(V===128){if(S!==void 0)
throw"extra trailer";S=dt(D);continue}if(R!==void 0)throw new I("extra message",y.Unimplemented);R=m(D)}if(S===void 0)throw b!==void 0?b:new I("missing trailer",
f.headers.has(W)?y.Unimplemented:y.Unknown);if(Le(S,f.headers),R===void 0)throw new I("missing message",S.has(W)?y.Unimplemented:y.Unknown);return{stream:!1,service:r.
parent,method:r,header:f.headers,message:R,trailer:S}}})},async stream(r,o,s,a,i,c){let{serialize:u,parse:m}=gt(r,n,e.jsonOptions,e.binaryOptions);function p(d,f,b,E,S){
return xc(this,arguments,function*(){let A=ct(d).getReader();if(f){if(!(yield ee(A.read())).done)throw"extra data for trailers-only";return yield ee(void 0)}let V=!1;
for(;;){let D=yield ee(A.read());if(D.done)break;let{flags:Me,data:oe}=D.value;if((Me&128)===128){if(V)throw"extra trailer";V=!0;let Oe=dt(oe);Le(Oe,E),Oe.forEach(
(ta,na)=>b.set(na,ta));continue}if(V)throw"extra message";yield yield ee(m(oe))}if("throwIfAborted"in S&&S.throwIfAborted(),!V)throw"missing trailer"})}async function h(d){
if(r.methodKind!="server_streaming")throw"The fetch API does not support streaming request bodies";let f=await d[Symbol.asyncIterator]().next();if(f.done==!0)throw"\
missing request message";return ut(0,u(f.value))}return s=s===void 0?e.defaultTimeoutMs:s<=0?void 0:s,kn({interceptors:e.interceptors,signal:o,timeoutMs:s,req:{
stream:!0,service:r.parent,method:r,requestMethod:"POST",url:ht(e.baseUrl,r),header:bt(n,s,a,!1),contextValues:c??mt(),message:i},next:async d=>{var f;let E=await((f=
e.fetch)!==null&&f!==void 0?f:globalThis.fetch)(d.url,Object.assign(Object.assign({},Ts),{method:d.requestMethod,headers:d.header,signal:d.signal,body:await h(d.
message)})),{foundStatus:S,headerError:R}=yt(E.status,E.headers);if(R!=null)throw R;if(!E.body)throw"missing response body";let A=new Headers;return Object.assign(
Object.assign({},d),{header:E.headers,trailer:A,message:p(E.body,S,A,E.headers,d.signal)})}})}}}var te=class{#e;#t;#n=!1;constructor(t,n){this.#e=t[Symbol.asyncIterator](),this.#t=n}async next(){this.#n=!0;let{done:t,value:n}=await this.#e.next();return this.#n=
t===!0,t?void 0:n}leave(){this.#t.abort(),this.#n||this.#e.next().catch(()=>{})}};function pe(e,t){let n=new AbortController,r=e.signal?AbortSignal.any([e.signal,
n.signal]):n.signal,o=t({...e,signal:r}),{next:s,return:a,throw:i}=o;return Object.assign(o,{async next(){try{return await s.call(o)}catch(c){if(n.signal.aborted)
return{done:!0,value:void 0};throw c}},return(c){return n.abort(),a.call(o,c)},throw(c){return n.abort(),i.call(o,c)}})}var L=class e extends Error{name="TesseraError";code;reason;metadata;violations;retryAfterMs;constructor(t,n,r={},o){super(t,{cause:o}),this.code=n,this.reason=
r.reason??"",this.metadata=r.metadata??{},this.violations=r.violations??[],this.retryAfterMs=r.retryAfterMs}static from(t,n){if(t instanceof e)return t;let r=I.
from(t),o=Ac(r,n)?y.Unavailable:r.code;return new e(r.rawMessage.trim(),Rs(o),wc(r),t)}static ofDocument(t){let{retryAfter:n,fields:r,reason:o,metadata:s}=t,a=t.
violations.map(({field:u,description:m})=>({field:u,description:m})),i=a.length>0?a:r.map(u=>({field:u,description:""})),c=n&&Number(n.seconds)*1e3+n.nanos/1e6;
return new e(t.message,Rs(t.code),{reason:o,metadata:s,violations:i,retryAfterMs:c})}},H=class extends L{name="IncompleteStreamError";constructor(){super("the s\
tream ended without `completed`","DATA_LOSS")}},vc=/^(ERR_SSL_|ERR_TLS_|CERT_|CRL_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|INVALID_(CA|PURPOSE)|HOSTNAME_)/;function Ac(e,t){
let n=e.cause?.code;return e.code===y.Internal?typeof n=="string"&&vc.test(n):e.code===y.Canceled&&!t?.aborted&&e.rawMessage.startsWith("http/2 stream closed")}
function Rs(e){let t=y[e]??"Unknown";return e===y.Canceled?"CANCELLED":t.replace(/(?<=.)([A-Z])/g,"_$1").toUpperCase()}function wc(e){let t={reason:"",metadata:{},
violations:[],retryAfterMs:void 0};for(let n of e.details){if(!("type"in n)||!(n.value instanceof Uint8Array))continue;let r=Tc[n.type];r?.(n.value,t)}return t}
var Tc={"google.rpc.ErrorInfo":(e,t)=>{he(e,{1:n=>t.reason=n.string(),3:n=>{let r="",o="";he(n.bytes(),{1:s=>r=s.string(),2:s=>o=s.string()}),t.metadata[r]=o}})},
"google.rpc.BadRequest":(e,t)=>{he(e,{1:n=>{let r={field:"",description:""};he(n.bytes(),{1:o=>r.field=o.string(),2:o=>r.description=o.string()}),t.violations.push(
r)}})},"google.rpc.RetryInfo":(e,t)=>{he(e,{1:n=>{let r=0;he(n.bytes(),{1:o=>r+=Number(o.int64())*1e3,2:o=>r+=o.int32()/1e6}),t.retryAfterMs=r}})}};function he(e,t){
let n=new _(e);for(;n.pos<n.len;){let[r,o]=n.tag(),s=t[r];s?s(n):n.skip(o)}}function Nt(e){if(e.event.case!==void 0)return{...e.event,sequence:Number(e.sequence)}}var St=B("Chd0ZXNzZXJhL3YxL3NjaGVtYS5wcm90bxIKdGVzc2VyYS52MSLYAQoQRXh0cmFjdGlvblNjaGVtYRIxCg1kb2N1bWVudF90eXBlGAEgASgOMhgudGVzc2VyYS52MS5Eb2N1bWVudFR5cGVIABIrCg\
pmaWVsZF9saXN0GAIgASgLMhUudGVzc2VyYS52MS5GaWVsZExpc3RIABIVCgtqc29uX3NjaGVtYRgDIAEoCUgAEhQKDGluc3RydWN0aW9ucxgEIAEoCRItCgxhbnN3ZXJfc3R5bGUYBSABKA4yFy50ZXNzZXJhLn\
YxLkFuc3dlclN0eWxlQggKBnNvdXJjZSIyCglGaWVsZExpc3QSJQoGZmllbGRzGAEgAygLMhUudGVzc2VyYS52MS5GaWVsZFNwZWMi2QEKCUZpZWxkU3BlYxIMCgRuYW1lGAEgASgJEiMKBHR5cGUYAiABKA4yFS\
50ZXNzZXJhLnYxLkZpZWxkVHlwZRITCgtkZXNjcmlwdGlvbhgDIAEoCRIQCghyZXF1aXJlZBgEIAEoCBIMCgRsaXN0GAUgASgIEhYKDmFsbG93ZWRfdmFsdWVzGAYgAygJEiUKBmZpZWxkcxgHIAMoCzIVLnRlc3\
NlcmEudjEuRmllbGRTcGVjEhIKCm1heF9sZW5ndGgYCCABKA0SEQoJbWF4X2l0ZW1zGAkgASgNKl4KC0Fuc3dlclN0eWxlEhwKGEFOU1dFUl9TVFlMRV9VTlNQRUNJRklFRBAAEhUKEUFOU1dFUl9TVFlMRV9KU0\
9OEAESGgoWQU5TV0VSX1NUWUxFX0tFWV9WQUxVRRACKp0BCgxEb2N1bWVudFR5cGUSHQoZRE9DVU1FTlRfVFlQRV9VTlNQRUNJRklFRBAAEhkKFURPQ1VNRU5UX1RZUEVfUkVDRUlQVBABEhkKFURPQ1VNRU5UX1\
RZUEVfSU5WT0lDRRACEiAKHERPQ1VNRU5UX1RZUEVfQkFOS19TVEFURU1FTlQQAxIWChJET0NVTUVOVF9UWVBFX0FVVE8QBCrdAQoJRmllbGRUeXBlEhoKFkZJRUxEX1RZUEVfVU5TUEVDSUZJRUQQABIVChFGSU\
VMRF9UWVBFX1NUUklORxABEhYKEkZJRUxEX1RZUEVfSU5URUdFUhACEhYKEkZJRUxEX1RZUEVfREVDSU1BTBADEhYKEkZJRUxEX1RZUEVfQk9PTEVBThAEEhMKD0ZJRUxEX1RZUEVfREFURRAFEhUKEUZJRUxEX1\
RZUEVfT0JKRUNUEAYSFAoQRklFTERfVFlQRV9NT05FWRAHEhMKD0ZJRUxEX1RZUEVfRU5VTRAIYgZwcm90bzM");var j=(s=>(s[s.UNSPECIFIED=0]="UNSPECIFIED",s[s.RECEIPT=1]="RECEIPT",s[s.INVOICE=2]="INVOICE",s[s.BANK_STATEMENT=3]="BANK_STATEMENT",s[s.AUTO=4]="AUTO",s))(j||{});var Fs=B("Cht0ZXNzZXJhL3YxL21vZGVsX2luZm8ucHJvdG8SCnRlc3NlcmEudjEi2AQKC01vZGVsU3RhdHVzEg0KBW1vZGVsGAEgASgJEhAKCHJldmlzaW9uGAIgASgJEhYKDnNlcnZlcl92ZXJzaW9uGAMgAS\
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
VlX2J5dGVzGAUgASgEEhQKDHdlaWdodF9ieXRlcxgGIAEoBBIWCg5rdl9jYWNoZV9ieXRlcxgHIAEoBCK7BQoGTGltaXRzEhkKEW1heF9yZXF1ZXN0X2J5dGVzGAEgASgEEhEKCW1heF9wYWdlcxgCIAEoDRIXCg\
9tYXhfcGFnZV9waXhlbHMYAyABKAQSGgoSbWF4X3RpbGVzX3Blcl9wYWdlGAQgASgNEhgKEG1heF9pbnB1dF90b2tlbnMYBSABKA0SGQoRbWF4X291dHB1dF90b2tlbnMYBiABKA0SHAoUbWF4X3J1bm5pbmdfcm\
VxdWVzdHMYCCABKA0SGwoTbWF4X3F1ZXVlZF9yZXF1ZXN0cxgJIAEoDRIYChBtYXhfc2NoZW1hX2J5dGVzGAcgASgNEhsKE21heF9iYXRjaF9pbl9mbGlnaHQYCiABKA0SGQoRbWF4X3F1ZXVlZF90b2tlbnMYCy\
ABKAQSFgoObWF4X2ZpbGVfYnl0ZXMYDCABKAQSGAoQbWF4X3Byb21wdF9ieXRlcxgNIAEoDRIaChJtYXhfc3RvcF9zZXF1ZW5jZXMYDiABKA0SHwoXbWF4X3N0b3Bfc2VxdWVuY2VfYnl0ZXMYDyABKA0SFQoNbW\
F4X3BhZ2Vfc2lkZRgQIAEoDRIXCg9tYXhfZmlsZV9waXhlbHMYESABKAQSGAoQbWF4X2RlY29kZV9ieXRlcxgSIAEoBBIVCg1tYXhfcmVuZGVyX21zGBMgASgEEhgKEG1heF9yZW5kZXJfYnl0ZXMYFCABKAQSIA\
oYbWF4X3JlcXVlc3RfbWVtb3J5X2J5dGVzGBUgASgEEh8KF21heF9ieXRlc19iZXNpZGVzX2ZpbGVzGBYgASgEEhcKD21heF9ldmVudF9ieXRlcxgXIAEoBBIVCg1tYXhfdXJpX2J5dGVzGBggASgNEhkKEW1heF\
9mZXRjaGVkX2J5dGVzGBkgASgEEhQKDG1heF9mZXRjaF9tcxgaIAEoBCKQAgoMQ2FwYWJpbGl0aWVzEhMKC21lZGlhX3R5cGVzGAEgAygJEjMKEGJ1aWx0X2luX3NjaGVtYXMYAiADKAsyGS50ZXNzZXJhLnYxLk\
J1aWx0SW5TY2hlbWESNwoRY29uZmlkZW5jZV9tZXRob2QYAyABKA4yHC50ZXNzZXJhLnYxLkNvbmZpZGVuY2VNZXRob2QSHAoUanNvbl9zY2hlbWFfa2V5d29yZHMYBCADKAkSHAoUY29uc3RyYWluZWRfZGVjb2\
RpbmcYBSABKAgSLAoLY2FsaWJyYXRpb24YBiABKAsyFy50ZXNzZXJhLnYxLkNhbGlicmF0aW9uEhMKC3VyaV9vcmlnaW5zGAcgAygJIloKC0NhbGlicmF0aW9uEhEKCWRvY3VtZW50cxgBIAEoDRINCgVraW5kcx\
gCIAMoCRIpCgZjaGVja3MYAyADKAsyGS50ZXNzZXJhLnYxLkNoZWNrRXZpZGVuY2UiPQoNQ2hlY2tFdmlkZW5jZRIMCgRydWxlGAEgASgJEg4KBnBhc3NlZBgCIAEoARIOCgZmYWlsZWQYAyABKAEiZQoNQnVpbH\
RJblNjaGVtYRIvCg1kb2N1bWVudF90eXBlGAEgASgOMhgudGVzc2VyYS52MS5Eb2N1bWVudFR5cGUSDgoGZmllbGRzGAIgAygJEhMKC2pzb25fc2NoZW1hGAMgASgJIm4KBExvYWQSGAoQcnVubmluZ19yZXF1ZX\
N0cxgBIAEoDRIXCg9xdWV1ZWRfcmVxdWVzdHMYAiABKA0SHAoUa3ZfY2FjaGVfdXRpbGl6YXRpb24YAyABKAESFQoNcXVldWVkX3Rva2VucxgEIAEoBCqQAQoLUmVsb2FkU3RhdGUSHAoYUkVMT0FEX1NUQVRFX1\
VOU1BFQ0lGSUVEEAASGAoUUkVMT0FEX1NUQVRFX0xPQURJTkcQARIZChVSRUxPQURfU1RBVEVfRFJBSU5JTkcQAhIVChFSRUxPQURfU1RBVEVfRE9ORRADEhcKE1JFTE9BRF9TVEFURV9GQUlMRUQQBCqzAQoMU2\
VydmluZ1N0YXRlEh0KGVNFUlZJTkdfU1RBVEVfVU5TUEVDSUZJRUQQABIZChVTRVJWSU5HX1NUQVRFX0xPQURJTkcQARIXChNTRVJWSU5HX1NUQVRFX1JFQURZEAISGgoWU0VSVklOR19TVEFURV9EUkFJTklORx\
ADEhgKFFNFUlZJTkdfU1RBVEVfRkFJTEVEEAQSGgoWU0VSVklOR19TVEFURV9QT0lTT05FRBAFKlsKClBvbGljeU1vZGUSGwoXUE9MSUNZX01PREVfVU5TUEVDSUZJRUQQABIYChRQT0xJQ1lfTU9ERV9GQUxMQk\
FDSxABEhYKElBPTElDWV9NT0RFX1NUUklDVBACKmgKCUxpbmtSb3V0ZRIaChZMSU5LX1JPVVRFX1VOU1BFQ0lGSUVEEAASEwoPTElOS19ST1VURV9IT1NUEAESEwoPTElOS19ST1VURV9QRUVSEAISFQoRTElOS1\
9ST1VURV9TVEFHRUQQAyppCgVEdHlwZRIVChFEVFlQRV9VTlNQRUNJRklFRBAAEg0KCURUWVBFX0YzMhABEg4KCkRUWVBFX0JGMTYQAhINCglEVFlQRV9GMTYQAxIMCghEVFlQRV9ROBAEEg0KCURUWVBFX0ZQOB\
AFKoABChBDb25maWRlbmNlTWV0aG9kEiEKHUNPTkZJREVOQ0VfTUVUSE9EX1VOU1BFQ0lGSUVEEAASJwojQ09ORklERU5DRV9NRVRIT0RfVE9LRU5fUFJPQkFCSUxJVFkQARIgChxDT05GSURFTkNFX01FVEhPRF\
9DQUxJQlJBVEVEEAJiBnByb3RvMw",[St]);var It=(a=>(a[a.UNSPECIFIED=0]="UNSPECIFIED",a[a.LOADING=1]="LOADING",a[a.READY=2]="READY",a[a.DRAINING=3]="DRAINING",a[a.FAILED=4]="FAILED",a[a.POISONED=5]="PO\
ISONED",a))(It||{});var On=(o=>(o[o.UNSPECIFIED=0]="UNSPECIFIED",o[o.HOST=1]="HOST",o[o.PEER=2]="PEER",o[o.STAGED=3]="STAGED",o))(On||{});var Bn=(a=>(a[a.UNSPECIFIED=0]="UNSPECIFIED",a[a.F32=1]="F32",a[a.BF16=2]="BF16",a[a.F16=3]="F16",a[a.Q8=4]="Q8",a[a.FP8=5]="FP8",a))(Bn||{});var Gn=B("Cht0ZXNzZXJhL3YxL2V4dHJhY3Rpb24ucHJvdG8SCnRlc3NlcmEudjEiqgIKDkV4dHJhY3RSZXF1ZXN0EhIKCnJlcXVlc3RfaWQYASABKAkSDQoFbW9kZWwYAiABKAkSJAoFZmlsZXMYAyADKAsyFS\
50ZXNzZXJhLnYxLklucHV0RmlsZRIuCgZzY2hlbWEYBCABKAsyHC50ZXNzZXJhLnYxLkV4dHJhY3Rpb25TY2hlbWFIABIQCgZwcm9tcHQYBSABKAlIABIxCgpnZW5lcmF0aW9uGAYgASgLMh0udGVzc2VyYS52MS\
5HZW5lcmF0aW9uT3B0aW9ucxIqCgtldmVudF9raW5kcxgHIAMoDjIVLnRlc3NlcmEudjEuRXZlbnRLaW5kEiYKCHByaW9yaXR5GAggASgOMhQudGVzc2VyYS52MS5Qcmlvcml0eUIGCgR0YXNrIlIKCUlucHV0Rm\
lsZRIPCgdjb250ZW50GAEgASgMEg0KBXBhZ2VzGAIgAygNEhAKA2RwaRgDIAEoDUgAiAEBEgsKA3VyaRgEIAEoCUIGCgRfZHBpIqkDChFHZW5lcmF0aW9uT3B0aW9ucxIeChFtYXhfb3V0cHV0X3Rva2VucxgBIA\
EoDUgAiAEBEhgKC3RlbXBlcmF0dXJlGAIgASgCSAGIAQESEQoEc2VlZBgDIAEoBEgCiAEBEhYKDnN0b3Bfc2VxdWVuY2VzGAQgAygJEh8KEm1heF90aWxlc19wZXJfcGFnZRgFIAEoDUgDiAEBEhIKBXRvcF9wGA\
YgASgCSASIAQESFgoJY29uc3RyYWluGAcgASgISAWIAQESEgoFdG9wX2sYCCABKA1IBogBARISCgVtaW5fcBgJIAEoAkgHiAEBEh8KEnJlcGV0aXRpb25fcGVuYWx0eRgKIAEoAkgIiAEBEhAKCGxvZ3Byb2JzGA\
sgASgIQhQKEl9tYXhfb3V0cHV0X3Rva2Vuc0IOCgxfdGVtcGVyYXR1cmVCBwoFX3NlZWRCFQoTX21heF90aWxlc19wZXJfcGFnZUIICgZfdG9wX3BCDAoKX2NvbnN0cmFpbkIICgZfdG9wX2tCCAoGX21pbl9wQh\
UKE19yZXBldGl0aW9uX3BlbmFsdHki+QIKD0V4dHJhY3RSZXNwb25zZRIQCghzZXF1ZW5jZRgBIAEoBBIoCghhY2NlcHRlZBgCIAEoCzIULnRlc3NlcmEudjEuQWNjZXB0ZWRIABIoCghwcm9ncmVzcxgDIAEoCz\
IULnRlc3NlcmEudjEuUHJvZ3Jlc3NIABItCgt0b2tlbl9kZWx0YRgEIAEoCzIWLnRlc3NlcmEudjEuVG9rZW5EZWx0YUgAEi0KC2ZpZWxkX2RlbHRhGAUgASgLMhYudGVzc2VyYS52MS5GaWVsZERlbHRhSAASNQ\
oPZmllbGRfY29tcGxldGVkGAYgASgLMhoudGVzc2VyYS52MS5FeHRyYWN0ZWRGaWVsZEgAEioKCWNvbXBsZXRlZBgHIAEoCzIVLnRlc3NlcmEudjEuQ29tcGxldGVkSAASNgoNZG9jdW1lbnRfdHlwZRgIIAEoCz\
IdLnRlc3NlcmEudjEuRG9jdW1lbnRUeXBlRm91bmRIAEIHCgVldmVudCLFAQoIQWNjZXB0ZWQSEgoKcmVxdWVzdF9pZBgBIAEoCRINCgVtb2RlbBgCIAEoCRIWCg5tb2RlbF9yZXZpc2lvbhgDIAEoCRIQCgh0cm\
FjZV9pZBgEIAEoCRIWCg50aWxlc19wZXJfcGFnZRgFIAMoDRIUCgxpbnB1dF90b2tlbnMYBiABKA0SJQoFcGFnZXMYByADKAsyFi50ZXNzZXJhLnYxLlBhZ2VTb3VyY2USFwoPcHJvbXB0X3RlbXBsYXRlGAggAS\
gJIk0KClBhZ2VTb3VyY2USDAoEZmlsZRgBIAEoDRIMCgRwYWdlGAIgASgNEhAKCHdpZHRoX3B4GAMgASgNEhEKCWhlaWdodF9weBgEIAEoDSKnAQoRRG9jdW1lbnRUeXBlRm91bmQSLwoNZG9jdW1lbnRfdHlwZR\
gBIAEoDjIYLnRlc3NlcmEudjEuRG9jdW1lbnRUeXBlEhcKCmNvbmZpZGVuY2UYAiABKAJIAIgBARIgCgV1c2FnZRgDIAEoCzIRLnRlc3NlcmEudjEuVXNhZ2USFwoPcHJvbXB0X3RlbXBsYXRlGAQgASgJQg0KC1\
9jb25maWRlbmNlIuYBCghQcm9ncmVzcxIgCgVwaGFzZRgBIAEoDjIRLnRlc3NlcmEudjEuUGhhc2USKgoHZWxhcHNlZBgCIAEoCzIZLmdvb2dsZS5wcm90b2J1Zi5EdXJhdGlvbhIbCg5xdWV1ZV9wb3NpdGlvbh\
gDIAEoDUgAiAEBEhUKDWVuY29kZWRfdGlsZXMYBCABKA0SGAoQcHJlZmlsbGVkX3Rva2VucxgFIAEoDRIVCg1vdXRwdXRfdG9rZW5zGAYgASgNEhQKDGlucHV0X3Rva2VucxgHIAEoDUIRCg9fcXVldWVfcG9zaX\
Rpb24iQQoKVG9rZW5EZWx0YRIMCgR0ZXh0GAEgASgJEhMKC3Rva2VuX2NvdW50GAIgASgNEhAKCGxvZ3Byb2JzGAMgAygCIisKCkZpZWxkRGVsdGESDwoHcG9pbnRlchgBIAEoCRIMCgR0ZXh0GAIgASgJItwCCg\
5FeHRyYWN0ZWRGaWVsZBIPCgdwb2ludGVyGAEgASgJEiUKBXZhbHVlGAIgASgLMhYuZ29vZ2xlLnByb3RvYnVmLlZhbHVlEgsKA3JhdxgDIAEoCRIXCgpjb25maWRlbmNlGAQgASgCSACIAQESIgoVbWluX3Rva2\
VuX3Byb2JhYmlsaXR5GAUgASgCSAGIAQESKgoKbm9ybWFsaXplZBgGIAEoCzIWLmdvb2dsZS5wcm90b2J1Zi5WYWx1ZRIRCgRwYWdlGAcgASgNSAKIAQESLwoNcGFnZV9ldmlkZW5jZRgIIAEoDjIYLnRlc3Nlcm\
EudjEuUGFnZUV2aWRlbmNlEhcKCnBhZ2Vfc2hhcmUYCSABKAJIA4gBAUINCgtfY29uZmlkZW5jZUIYChZfbWluX3Rva2VuX3Byb2JhYmlsaXR5QgcKBV9wYWdlQg0KC19wYWdlX3NoYXJlIswCCglDb21wbGV0ZW\
QSLwoNZmluaXNoX3JlYXNvbhgBIAEoDjIYLnRlc3NlcmEudjEuRmluaXNoUmVhc29uEgwKBHRleHQYAiABKAkSGgoNZG9jdW1lbnRfanNvbhgDIAEoCUgAiAEBEhYKDmRvY3VtZW50X2Vycm9yGAQgASgJEiAKBX\
VzYWdlGAUgASgLMhEudGVzc2VyYS52MS5Vc2FnZRIkCgd0aW1pbmdzGAYgASgLMhMudGVzc2VyYS52MS5UaW1pbmdzEioKBmZpZWxkcxgHIAMoCzIaLnRlc3NlcmEudjEuRXh0cmFjdGVkRmllbGQSIQoGY2hlY2\
tzGAggAygLMhEudGVzc2VyYS52MS5DaGVjaxIjCgdyZXBhaXJzGAkgAygOMhIudGVzc2VyYS52MS5SZXBhaXJCEAoOX2RvY3VtZW50X2pzb24iXwoFQ2hlY2sSIwoEcnVsZRgBIAEoDjIVLnRlc3NlcmEudjEuQ2\
hlY2tSdWxlEg4KBnBhc3NlZBgCIAEoCBIPCgdtZXNzYWdlGAMgASgJEhAKCHBvaW50ZXJzGAQgAygJImcKBVVzYWdlEhQKDGlucHV0X3Rva2VucxgBIAEoDRIUCgxpbWFnZV90b2tlbnMYAiABKA0SFQoNb3V0cH\
V0X3Rva2VucxgDIAEoDRIbChNjYWNoZWRfaW5wdXRfdG9rZW5zGAQgASgNIsYCCgdUaW1pbmdzEigKBXF1ZXVlGAEgASgLMhkuZ29vZ2xlLnByb3RvYnVmLkR1cmF0aW9uEi0KCnByZXByb2Nlc3MYAiABKAsyGS\
5nb29nbGUucHJvdG9idWYuRHVyYXRpb24SKQoGdmlzaW9uGAMgASgLMhkuZ29vZ2xlLnByb3RvYnVmLkR1cmF0aW9uEioKB3ByZWZpbGwYBCABKAsyGS5nb29nbGUucHJvdG9idWYuRHVyYXRpb24SKQoGZGVjb2\
RlGAUgASgLMhkuZ29vZ2xlLnByb3RvYnVmLkR1cmF0aW9uEjYKE3RpbWVfdG9fZmlyc3RfdG9rZW4YBiABKAsyGS5nb29nbGUucHJvdG9idWYuRHVyYXRpb24SKAoFdG90YWwYByABKAsyGS5nb29nbGUucHJvdG\
9idWYuRHVyYXRpb24ibAoTQmF0Y2hFeHRyYWN0UmVxdWVzdBItCgdleHRyYWN0GAEgASgLMhoudGVzc2VyYS52MS5FeHRyYWN0UmVxdWVzdEgAEhsKEWNhbmNlbF9yZXF1ZXN0X2lkGAIgASgJSABCCQoHbWVzc2\
FnZSKRAQoUQmF0Y2hFeHRyYWN0UmVzcG9uc2USEgoKcmVxdWVzdF9pZBgBIAEoCRIvCghyZXNwb25zZRgCIAEoCzIbLnRlc3NlcmEudjEuRXh0cmFjdFJlc3BvbnNlSAASKQoFZXJyb3IYAyABKAsyGC50ZXNzZX\
JhLnYxLkV4dHJhY3RFcnJvckgAQgkKB291dGNvbWUimAIKDEV4dHJhY3RFcnJvchIMCgRjb2RlGAEgASgFEg4KBnJlYXNvbhgCIAEoCRIPCgdtZXNzYWdlGAMgASgJEi4KC3JldHJ5X2FmdGVyGAQgASgLMhkuZ2\
9vZ2xlLnByb3RvYnVmLkR1cmF0aW9uEg4KBmZpZWxkcxgFIAMoCRI4CghtZXRhZGF0YRgGIAMoCzImLnRlc3NlcmEudjEuRXh0cmFjdEVycm9yLk1ldGFkYXRhRW50cnkSLgoKdmlvbGF0aW9ucxgHIAMoCzIaLn\
Rlc3NlcmEudjEuRmllbGRWaW9sYXRpb24aLwoNTWV0YWRhdGFFbnRyeRILCgNrZXkYASABKAkSDQoFdmFsdWUYAiABKAk6AjgBIjQKDkZpZWxkVmlvbGF0aW9uEg0KBWZpZWxkGAEgASgJEhMKC2Rlc2NyaXB0aW\
9uGAIgASgJIiEKEE1vZGVsSW5mb1JlcXVlc3QSDQoFbW9kZWwYASABKAkiPAoRTW9kZWxJbmZvUmVzcG9uc2USJwoGc3RhdHVzGAEgASgLMhcudGVzc2VyYS52MS5Nb2RlbFN0YXR1cyImChVXYXRjaE1vZGVsSW\
5mb1JlcXVlc3QSDQoFbW9kZWwYASABKAkiQQoWV2F0Y2hNb2RlbEluZm9SZXNwb25zZRInCgZzdGF0dXMYASABKAsyFy50ZXNzZXJhLnYxLk1vZGVsU3RhdHVzKlIKCFByaW9yaXR5EhgKFFBSSU9SSVRZX1VOU1\
BFQ0lGSUVEEAASGAoUUFJJT1JJVFlfSU5URVJBQ1RJVkUQARISCg5QUklPUklUWV9CQVRDSBACKmoKCUV2ZW50S2luZBIaChZFVkVOVF9LSU5EX1VOU1BFQ0lGSUVEEAASFQoRRVZFTlRfS0lORF9UT0tFTlMQAR\
ITCg9FVkVOVF9LSU5EX05PTkUQAhIVChFFVkVOVF9LSU5EX0ZJRUxEUxADKmcKBVBoYXNlEhUKEVBIQVNFX1VOU1BFQ0lGSUVEEAASEAoMUEhBU0VfUVVFVUVEEAESEAoMUEhBU0VfVklTSU9OEAISEQoNUEhBU0\
VfUFJFRklMTBADEhAKDFBIQVNFX0RFQ09ERRAEKn8KDFBhZ2VFdmlkZW5jZRIdChlQQUdFX0VWSURFTkNFX1VOU1BFQ0lGSUVEEAASGwoXUEFHRV9FVklERU5DRV9PTkxZX1BBR0UQARIWChJQQUdFX0VWSURFTk\
NFX1RFWFQQAhIbChdQQUdFX0VWSURFTkNFX0FUVEVOVElPThADKs8BCgZSZXBhaXISFgoSUkVQQUlSX1VOU1BFQ0lGSUVEEAASEQoNUkVQQUlSX1FVT1RFUxABEhUKEVJFUEFJUl9CQVJFX05BTUVTEAISGQoVUk\
VQQUlSX1RSQUlMSU5HX0NPTU1BEAMSGAoUUkVQQUlSX01JU1NJTkdfQ09NTUEQBBIQCgxSRVBBSVJfV09SRFMQBRIVChFSRVBBSVJfQ0hBUkFDVEVSUxAGEhMKD1JFUEFJUl9DT01NRU5UUxAHEhAKDFJFUEFJUl\
9MSU5FUxAIKs0BCglDaGVja1J1bGUSGgoWQ0hFQ0tfUlVMRV9VTlNQRUNJRklFRBAAEhsKF0NIRUNLX1JVTEVfQUJOX0NIRUNLU1VNEAESHQoZQ0hFQ0tfUlVMRV9MSU5FX0lURU1TX1NVTRACEhgKFENIRUNLX1\
JVTEVfR1NUX1NIQVJFEAMSGQoVQ0hFQ0tfUlVMRV9EQVRFX09SREVSEAQSFgoSQ0hFQ0tfUlVMRV9CQUxBTkNFEAUSGwoXQ0hFQ0tfUlVMRV9MSVNUX0xFTkdUSFMQBipfCgxGaW5pc2hSZWFzb24SHQoZRklOSV\
NIX1JFQVNPTl9VTlNQRUNJRklFRBAAEhYKEkZJTklTSF9SRUFTT05fU1RPUBABEhgKFEZJTklTSF9SRUFTT05fTEVOR1RIEAIy3wIKEUV4dHJhY3Rpb25TZXJ2aWNlEkQKB0V4dHJhY3QSGi50ZXNzZXJhLnYxLk\
V4dHJhY3RSZXF1ZXN0GhsudGVzc2VyYS52MS5FeHRyYWN0UmVzcG9uc2UwARJVCgxCYXRjaEV4dHJhY3QSHy50ZXNzZXJhLnYxLkJhdGNoRXh0cmFjdFJlcXVlc3QaIC50ZXNzZXJhLnYxLkJhdGNoRXh0cmFjdF\
Jlc3BvbnNlKAEwARJNCglNb2RlbEluZm8SHC50ZXNzZXJhLnYxLk1vZGVsSW5mb1JlcXVlc3QaHS50ZXNzZXJhLnYxLk1vZGVsSW5mb1Jlc3BvbnNlIgOQAgESXgoOV2F0Y2hNb2RlbEluZm8SIS50ZXNzZXJhLn\
YxLldhdGNoTW9kZWxJbmZvUmVxdWVzdBoiLnRlc3NlcmEudjEuV2F0Y2hNb2RlbEluZm9SZXNwb25zZSIDkAIBMAFiBnByb3RvMw",[Vo,Re,Fs,St]),_n=M(Gn,0);var Ls=M(Gn,11);var Zn=(u=>(u[u.UNSPECIFIED=0]="UNSPECIFIED",u[u.QUOTES=1]="QUOTES",u[u.BARE_NAMES=2]="BARE_NAMES",u[u.TRAILING_COMMA=3]="TRAILING_COMMA",u[u.MISSING_COMMA=4]="\
MISSING_COMMA",u[u.WORDS=5]="WORDS",u[u.CHARACTERS=6]="CHARACTERS",u[u.COMMENTS=7]="COMMENTS",u[u.LINES=8]="LINES",u))(Zn||{});var Xn=(r=>(r[r.UNSPECIFIED=0]="UNSPECIFIED",r[r.STOP=1]="STOP",r[r.LENGTH=2]="LENGTH",r))(Xn||{});var Us=bs(Gn,0);var xt=64*1024*1024,Rc=1024*1024,Vc=16;async function vt(e){let t=await Promise.all(e.files.map(Cc)),n=T(_n,{requestId:e.requestId??"",model:e.model??"",files:t,
task:Lc(e),eventKinds:e.eventKinds??[],priority:e.priority??0,...e.generation&&{generation:e.generation}});return Fc(n),n}function Fc(e){if(e.files.reduce((o,{content:s})=>o+
s.length,0)<xt-Rc)return;let n=Q(_n,e).length;if(n<=xt-Vc)return;let r=`${n} bytes are more than max_request_bytes, ${xt}: send fewer pages, or smaller ones`;throw new L(
`files: ${r}`,"INVALID_ARGUMENT",{reason:"LIMIT_EXCEEDED",metadata:{limit:"max_request_bytes",limit_value:String(xt),value:String(n)},violations:[{field:"files",
description:r}]})}function Lc(e){if([e.documentType,e.jsonSchema,e.schema,e.prompt].filter(o=>o!==void 0).length>1)throw new TypeError("give one of documentType\
, jsonSchema, schema and prompt");let n={instructions:e.instructions??"",...e.answerStyle&&{answerStyle:e.answerStyle}};if((n.instructions||n.answerStyle)&&(e.prompt!==
void 0||e.schema!==void 0)){let o=n.instructions?"instructions":"answerStyle",s=e.prompt!==void 0?"the prompt itself":"the schema's own fields";throw new TypeError(
`${o} goes with documentType or jsonSchema: say it in ${s}`)}if(e.prompt!==void 0)return{case:"prompt",value:e.prompt};if(e.schema!==void 0)return{case:"schema",
value:e.schema};if(e.jsonSchema!==void 0){let{jsonSchema:o}=e;return{case:"schema",value:{source:{case:"jsonSchema",value:typeof o=="string"?o:JSON.stringify(o)},
...n}}}return e.documentType===void 0?{case:void 0}:{case:"schema",value:{source:{case:"documentType",value:Uc(e.documentType)},...n}}}function Uc(e){if(typeof e!=
"string")return e;let t=j[e.toUpperCase().replaceAll("-","_")];if(t===void 0||t===0){let r=Object.values(j).filter(o=>typeof o=="string"&&o!=="UNSPECIFIED").map(
o=>String(o).toLowerCase().replaceAll("_","-")).join(", ");throw new TypeError(`unknown document type ${JSON.stringify(e)}: give one of ${r}`)}return t}async function Cc(e){
return"file"in e?{...await Cs(e.file),pages:[...e.pages??[]],...e.dpi!==void 0&&{dpi:e.dpi}}:Cs(e)}async function Cs(e){return e instanceof URL?{uri:e.href}:{content:await Dc(
e)}}async function Dc(e){return e instanceof Uint8Array?e:e instanceof ArrayBuffer?new Uint8Array(e):new Uint8Array(await e.arrayBuffer())}var Ds=Symbol("roused");function Ms(e,t,n){let r=e.eventKinds??(n?[2]:[]),o=e.requestId||`document-${t+1}`;return{...e,eventKinds:r,requestId:o,priority:e.priority??
2}}var At=class{#e;#t;#n=new Map;#r=[];#o=[];#s=0;#c=!1;#a=!1;#i;#l=!1;#u=()=>{};#m=()=>{};constructor(t,n){this.#t=Gs(t),this.#e=n}async*run(t,n,r,o){let s=new te(
t.batchExtract(this.#y(r),n),r),a,i=!1;try{for(let c;yield*this.#b(),!(a||i);){let u=new Promise(h=>this.#m=()=>h(Ds));c??=s.next();let m;try{m=await Promise.race(
[c,u])}catch(h){a={error:h};continue}if(m===Ds)continue;c=void 0,i=m===void 0;let p=m&&this.#N(m);this.#u(),p&&(yield p)}}finally{this.#a=!0,s.leave(),this.#u();
for(let c of[...this.#n.values()])this.#d(c,!1)}if(this.#i)throw this.#i.error;if(a)throw L.from(a.error,o);if(!this.#c||this.#n.size>0)throw new H}*#b(){for(let t=this.#o.
shift();t;t=this.#o.shift())this.#u(),yield t}async*#y(t){try{for(;!this.#a&&!this.#i&&!(this.#c&&this.#n.size===0);){let n=new Promise(o=>this.#u=o),r=this.#r.
shift();if(r){yield r;continue}!this.#l&&!this.#c&&this.#g()&&this.#f(t),await n}}finally{await Bs(this.#t,this.#l)}}#g(){return this.#n.size+this.#o.length<this.#e.
inFlight}async#f(t){this.#l=!0;try{let n=await this.#t.next();n.done?this.#c=!0:this.#a||await this.#E(n.value)}catch(n){this.#i={error:n},t.abort()}finally{this.#l=
!1,this.#u()}}async#E(t){let n=this.#s;this.#s+=1;let r=Ms(t,n,this.#e.quiet),{requestId:o,signal:s}=r;try{let a=await vt(r);if(this.#a)return;if(this.#n.has(o))
throw new TypeError(`requestId ${JSON.stringify(o)} is on its way already: each needs its own`);if(s?.aborted)throw Yn(s);let i={index:n,document:t,request:a,attempt:1,
answered:!1,stopped:()=>this.#h(i)};s?.addEventListener("abort",i.stopped,{once:!0}),this.#n.set(o,i),this.#r.push({message:{case:"extract",value:a}})}catch(a){
this.#p({index:n,requestId:o,document:t,error:_s(a)})}}#p(t){this.#o.push(t),this.#m()}#h(t){let{index:n,document:r}=t,{requestId:o}=t.request;t.waits===void 0?
this.#r.push({message:{case:"cancelRequestId",value:o}}):(this.#d(t),this.#p({index:n,requestId:o,document:r,error:Yn(r.signal)})),this.#u()}#N({requestId:t,outcome:n}){
let r=this.#n.get(t);if(!r)return;let{index:o,document:s}=r;if(n.case==="error"){let i=L.ofDocument(n.value);return this.#S(r,i)?void 0:(this.#d(r),{index:o,requestId:t,
document:s,error:i})}let a=n.case==="response"?Nt(n.value):void 0;if(a)return r.answered=!0,a.case==="completed"&&this.#d(r),{index:o,requestId:t,document:s,event:a}}#S(t,n){
let r=t.answered||t.document.signal?.aborted||t.attempt>=this.#e.attempts,o=n.code==="RESOURCE_EXHAUSTED"||n.code==="UNAVAILABLE";return r||!o||n.retryAfterMs===
void 0||Date.now()+n.retryAfterMs>=this.#e.end?!1:(t.attempt+=1,t.waits=setTimeout(()=>{t.waits=void 0,this.#r.push({message:{case:"extract",value:t.request}}),
this.#u()},n.retryAfterMs),!0)}#d(t,n=!0){n&&this.#n.delete(t.request.requestId),clearTimeout(t.waits),t.document.signal?.removeEventListener("abort",t.stopped)}};
async function*Os(e,t,n,r){let o=Gs(e),s=[],a=new Set,i=new AbortController,c=AbortSignal.any([r,i.signal]),u=()=>{},[m,p,h,d]=[0,0,!1,!1],f,b=A=>{s.push(A),ks(
A)&&(p+=1),u()},E=async(A,V)=>{let D=Ms(A,V,n.quiet),Me={index:V,requestId:D.requestId,document:A};try{let oe=A.signal?AbortSignal.any([A.signal,c]):c;for await(let Oe of t(
D,oe))b({...Me,event:Oe})}catch(oe){b({...Me,error:_s(oe)})}},S=async()=>{h=!0;try{let{done:A,value:V}=await o.next();if(d=A===!0,A||i.signal.aborted)return;let D=E(
V,m).finally(()=>{a.delete(D),u()});a.add(D),m+=1}catch(A){f={error:A}}finally{h=!1,u()}},R=()=>u();r.addEventListener("abort",R);try{for(;;){let A=new Promise(
D=>u=D);!h&&!d&&a.size+p<n.inFlight&&S();let V=s.shift();if(V){ks(V)&&(p-=1),yield V;continue}if(f)throw f.error;if(r.aborted)throw Yn(r);if(d&&a.size===0)return;
await A}}finally{r.removeEventListener("abort",R),i.abort(),await Bs(o,h)}}async function Bs(e,t){let n=e.return?.();t?n?.catch(()=>{}):await n}async function*Gs(e){
yield*e}function ks({event:e,error:t}){return t!==void 0||e?.case==="completed"}function _s(e){return e instanceof Error?e:new Error(String(e))}function Yn(e){return new L(
"the document was stopped by its caller","CANCELLED",{},e?.reason)}var kc=16,Mc=5*6e4,Zs=4,Oc=500,Bc=5e3,wt=class{#e;#t;#n;constructor(t,n={},r=!1){this.#e=Tn(Us,t),this.#t=n,this.#n=r}stream(t,n={}){return pe(n,r=>this.#r(()=>vt(
t),r))}streamRequest(t,n={}){return pe(n,r=>this.#r(()=>t,r))}async*#r(t,n){let r=await t(),o=this.#a(n),s=o===0?1/0:Date.now()+o;for(let a=1;;a+=1){let i=new AbortController,
c=o===0?0:Math.max(1,s-Date.now()),u=await this.#i({...n,timeoutMs:c},i),m=new te(this.#e.extract(r,u),i),[p,h]=[!1,!1];try{for(let d=await m.next();d;d=await m.
next()){let f=Nt(d);f&&(h=f.case==="completed",p=!0,yield f)}if(!h)throw new H;return}catch(d){let f=L.from(d,n.signal),b=Gc(f,a),E=a>=(this.#t.attempts??Zs);if(p||
E||b===void 0||Date.now()+b>=s)throw f;await _c(b,n.signal)}finally{m.leave()}}}async extract(t,n={}){let r,o,s={...t,eventKinds:t.eventKinds??[2]};for await(let a of this.
stream(s,n))a.case==="accepted"&&(r=a.value),a.case==="completed"&&(o=a.value);if(!r||!o)throw new H;return Xs(r,o)}batch(t,n={}){return pe(n,r=>this.#o(t,r))}async*#o(t,n){
let r=new Map;for await(let{event:o,...s}of this.#s(t,n,!0)){if(o?.case==="accepted"&&r.set(s.index,o.value),o?.case!=="completed"&&!s.error)continue;let a=r.get(
s.index);r.delete(s.index),o?.case!=="completed"?yield s:a?yield{...s,answer:Xs(a,o.value)}:yield{...s,error:new H}}}streamBatch(t,n={}){return pe(n,r=>this.#s(
t,r,!1))}async*#s(t,n,r){let{inFlight:o=kc,...s}=n,a=s.timeoutMs?Date.now()+s.timeoutMs:1/0,i={inFlight:Math.max(1,o),attempts:this.#t.attempts??Zs,end:a,quiet:r};
if(this.#n){let u=new AbortController;yield*new At(t,i).run(this.#e,await this.#i({...s,timeoutMs:s.timeoutMs??0},u),u,s.signal);return}yield*Os(t,(u,m)=>this.stream(
u,{...s,signal:m,...a!==1/0&&{timeoutMs:Math.max(1,a-Date.now())}}),i,s.signal??new AbortController().signal)}async modelInfo(t={}){try{let{status:n}=await this.#e.
modelInfo({},await this.#i(t));if(n)return n}catch(n){throw L.from(n,t.signal)}throw new L("the answer holds no status","DATA_LOSS")}watchModelInfo(t={}){return pe(
t,n=>this.#c(n))}async*#c(t){let n=new AbortController,r=await this.#i({...t,timeoutMs:t.timeoutMs??0},n),o=new te(this.#e.watchModelInfo({},r),n);try{for(let s=await o.
next();s;s=await o.next())s.status&&(yield s.status)}catch(s){throw L.from(s,t.signal)}finally{o.leave()}}#a(t){return t.timeoutMs??this.#t.timeoutMs??Mc}async#i(t,n){
let r=new Headers(t.headers),{token:o}=this.#t;o!==void 0&&!r.has("authorization")&&r.set("authorization",`Bearer ${typeof o=="string"?o:await o()}`);let s=this.#a(
t),a=[t.signal,n?.signal].filter(i=>i!==void 0);return{headers:r,timeoutMs:s===0?0:Math.max(1,Math.ceil(s)),...a.length>0&&{signal:AbortSignal.any(a)}}}};function Xs(e,t){
let n=t.documentJson,r=n===void 0?void 0:JSON.parse(n);return{accepted:e,completed:t,document:r}}function Gc(e,t){let n=e.retryAfterMs;return e.code==="UNAVAILA\
BLE"?n??Math.min(Oc*2**(t-1),Bc):e.code==="RESOURCE_EXHAUSTED"?n:void 0}function _c(e,t){return new Promise((n,r)=>{let o=()=>{clearTimeout(s),r(new L("the call\
 was ended by its caller","CANCELLED",{},t?.reason))},s=setTimeout(()=>{t?.removeEventListener("abort",o),n()},e);t?.aborted?o():t?.addEventListener("abort",o,{
once:!0})})}function Ys(e,t={}){let{token:n,timeoutMs:r,attempts:o,...s}=t;return new wt(Mn({...s,baseUrl:e}),{...n!==void 0&&{token:n},...r!==void 0&&{timeoutMs:r},...o!==
void 0&&{attempts:o}})}function g(e,t){let n=document.getElementById(e);if(!(n instanceof t))throw new Error(`index.html has no ${t.name} #${e}`);return n}function N(e,t={},...n){let r=document.
createElement(e);for(let[o,s]of Object.entries(t))s===!0?r.setAttribute(o,""):s!==!1&&r.setAttribute(o,s);return r.append(...n),r}function Tt(e,t){let n=t.filter(
i=>i.size>0),r=n.reduce((i,{size:c})=>i+c,0),o=n.map(i=>`${i.label} ${i.shown}`).join(", "),s=N("div",{class:"bar",role:"img","aria-label":`${e}: ${o}`});for(let i of n){
let c=N("span",{class:`tone-${i.tone}`,title:`${i.label}: ${i.shown}`});c.style.flexGrow=String(i.size/r),s.append(c)}let a=N("ul",{class:"legend","aria-hidden":"\
true"});for(let i of n)a.append(N("li",{class:`tone-${i.tone}`},`${i.label} ${i.shown}`));return[s,a]}function Ue(e){let t=Number(e);for(let n of["B","KiB","MiB",
"GiB"]){if(t<1024)return`${t<10&&n!=="B"?t.toFixed(1):Math.round(t)} ${n}`;t/=1024}return`${t.toFixed(1)} TiB`}var Zc={QUEUE_FULL:"Many documents are waiting. Try again a little later.",MODEL_LOADING:"The model is still being loaded. It answers once the state above says \
ready.",DRAINING:"This server is shutting down.",DRAIN_TIMEOUT:"The server was shut down while it read this document. Read it again.",DEADLINE:"The deadline pas\
sed. Give it more seconds in the options, or send fewer pages.",SLOW_CLIENT:"This page took nothing for too long. Keep it in front while it reads.",MODEL_POISONED:"\
The model spoilt several answers in a row and has to be restarted by its operator.",MODEL_FAILED:"The model could not be loaded. The server's log says why.",NON_FINITE_LOGITS:"\
The model's numbers overflowed. No answer is better than a wrong one.",GIBBERISH:"The model wrote nothing that could be read.",REPETITION:"The model repeated it\
self without end."};function Ps(e,t){let n=g("failure",HTMLDivElement),r=e.reason?`${e.code}, ${e.reason}`:e.code;if(n.replaceChildren(N("strong",{},r)),e.violations.
length===0&&n.append(N("p",{},e.message||"The server gave no message.")),e.violations.length>0){let s=N("ul");for(let a of e.violations)s.append(N("li",{},N("co\
de",{},a.field),`: ${a.description}`));n.append(s)}let o=Zc[e.reason]??Xc(e);if(o&&n.append(N("p",{},o)),e.code!=="INVALID_ARGUMENT"){let s=N("button",{type:"bu\
tton"},"Try again");s.addEventListener("click",t),n.append(s)}n.hidden=!1}function Xc(e){return e.code==="UNAUTHENTICATED"?"Give a token or an API key in the op\
tions.":e.code==="UNKNOWN"||e.code==="UNAVAILABLE"?"The server cannot be reached from this page.":""}function Ws(){g("failure",HTMLDivElement).hidden=!0}var Ks=.9,Rt=class{#e=g("fields",HTMLDivElement);#t=g("checks",HTMLUListElement);#n=new Map;#r=0;reset(t){this.#n.clear(),this.#e.replaceChildren(),this.#t.replaceChildren(),
this.#t.hidden=!0;for(let n of t)this.#o(`/${n.replaceAll("~","~0").replaceAll("/","~1")}`)}delta(t,n){let r=this.#o(t);r.done||(r.root.classList.add("writing"),
r.root.classList.remove("empty"),r.value.value+=n,Pn(r.value))}complete(t,n){let r=this.#o(t.pointer);r.done=!0,r.root.classList.remove("writing","empty"),r.value.
value=Kn(t),r.root.classList.toggle("absent",$s(t)),r.trust.replaceChildren(...Yc(t));let o=Pc(t),s=[o===void 0?"":`= ${o}`,n].filter(a=>a!=="");r.normal.textContent=
s.join(", "),r.normal.hidden=s.length===0,Pn(r.value)}end(){for(let t of this.#n.values())t.root.classList.remove("writing"),!t.done&&t.value.value!==""&&(t.value.
value="",t.root.classList.add("empty"),t.trust.replaceChildren(N("span",{class:"doubt"},"not finished")),Pn(t.value))}checks(t){this.#t.hidden=t.length===0,this.#t.
replaceChildren(...t.map(n=>{let r=n.pointers.map(Wn).join(", "),o=n.passed?`${r}: agree`:`${r}: ${n.message}`;return N("li",{class:n.passed?"passed":"failed"},
o)}))}#o(t){let n=this.#n.get(t);if(n)return n;this.#r+=1;let r=`field-${this.#r}`,o=N("textarea",{id:r,rows:"1",readonly:!0,"data-pointer":t}),s=N("div",{class:"\
trust"}),a=N("div",{class:"normal",hidden:!0}),i=N("label",{for:r,title:t},Wn(t)),c=N("div",{class:"field empty"},i,o,s,a);this.#e.append(c);let u={root:c,value:o,
trust:s,normal:a,done:!1};return this.#n.set(t,u),u}};function Pn(e){e.style.height="auto",e.style.height=`${e.scrollHeight+2}px`}function Wn(e){return e.split(
"/").slice(1).map(r=>r.replaceAll("~1","/").replaceAll("~0","~")).map(r=>{if(/^\d+$/.test(r))return String(Number(r)+1);let o=r.replaceAll("_"," ").toLowerCase().
replace(/\b(gst|abn)\b/g,s=>s.toUpperCase());return o.charAt(0).toUpperCase()+o.slice(1)}).join(" \u203A ")||"Value"}function Kn(e){if($s(e))return"not on the p\
age";let{kind:t}=e.value??{};return t?.case==="stringValue"?t.value:e.raw}function $s(e){return e.raw==="null"||e.raw==='"NOT_FOUND"'}function Yc(e){if(e.confidence===
void 0)return[];let t=`${Math.floor(e.confidence*1e3)/10} %`,n=N("meter",{min:"0",max:"1",low:"0.7",high:String(Ks),optimum:"1",value:String(e.confidence),"aria\
-label":`Confidence in ${Wn(e.pointer)}`});n.title=`confidence ${e.confidence.toFixed(4)}, least probable token ${e.minTokenProbability?.toFixed(4)??"unknown"}`;
let r=e.confidence<Ks||(e.minTokenProbability??1)<.5;return[n,N("span",r?{class:"doubt"}:{},r?`${t}, look`:t)]}function Pc(e){let t=e.normalized?.kind;switch(t?.
case){case"stringValue":return t.value===Kn(e)?void 0:t.value;case"boolValue":return String(t.value)===Kn(e)?void 0:String(t.value);case"numberValue":return String(
t.value)===e.raw?void 0:String(t.value);default:return}}var Vt=class{#e=[];#t=[];#n=g("pages",HTMLOListElement);#r;constructor(t){this.#r=t;let n=g("files",HTMLInputElement),r=g("drop",HTMLLabelElement);n.addEventListener(
"change",()=>{this.add([...n.files??[]]),n.value=""}),document.addEventListener("dragover",o=>{o.preventDefault(),r.classList.add("over")}),document.addEventListener(
"dragleave",()=>r.classList.remove("over")),document.addEventListener("drop",o=>{o.preventDefault(),r.classList.remove("over"),this.add([...o.dataTransfer?.files??
[]])}),document.addEventListener("paste",o=>{let s=[...o.clipboardData?.files??[]];s.length!==0&&(o.preventDefault(),this.add(s))})}get files(){return this.#e}add(t){
this.#e.push(...t),this.#o()}replace(t){this.#e=t,this.#o()}#o(){for(let t of this.#t)URL.revokeObjectURL(t);this.#t=[],this.#n.replaceChildren(...this.#e.map((t,n)=>this.#s(
t,n))),this.#r()}#s(t,n){let r=t.name||`pasted page ${n+1}`,o=N("button",{type:"button","aria-label":`Remove ${r}`},"\xD7");return o.addEventListener("click",()=>{
this.#e.splice(n,1),this.#o(),g("files",HTMLInputElement).focus()}),N("li",{},this.#c(t,r),N("span",{class:"name",title:r},r),o)}#c(t,n){let r=()=>N("span",{class:"\
file"},n.split(".").pop()?.toUpperCase()??"FILE");if(!/^image\/(png|jpeg|webp)$/.test(t.type))return r();let o=URL.createObjectURL(t);this.#t.push(o);let s=N("i\
mg",{src:o,alt:n});return s.addEventListener("error",()=>s.replaceWith(r())),s}};function Js(e){let t=g("placement-note",HTMLParagraphElement),n=g("devices",HTMLDivElement);if(e.placements.length===0){t.textContent=e.stateMessage||"Placement\
 is not decided yet.",n.replaceChildren();return}let r=e.verification?.tensors??0;t.textContent=`${e.placements.length} modules on ${e.devices.length} ${e.devices.
length===1?"device":"devices"}, KV cache in ${$n(e.kvCacheDtype)} for ${e.kvCapacityTokens.toLocaleString("en")} tokens`+(r>0?`; ${r} tensors found where they s\
hould be.`:".");let o=e.devices.map(s=>Wc(s,e.placements.filter(a=>a.deviceId===s.id)));e.links.length>0&&o.push($c(e.links)),n.replaceChildren(...o)}function Wc(e,t){
let n=e.weightBytes+e.kvCacheBytes,r=e.totalBytes-e.freeBytes,o=(c,u,m)=>({label:c,size:Math.max(0,Number(u)),shown:Ue(u),tone:m}),s=Tt(`Memory of ${e.id}`,[o("\
weights",e.weightBytes,5),o("KV cache",e.kvCacheBytes,3),o("other",r-n,1),o("free",e.freeBytes,6)]),a=N("ol",{class:"modules","aria-label":`Modules on ${e.id}`});
a.append(...t.map(Kc));let i=e.computeCapability?`, compute capability ${e.computeCapability}`:"";return N("article",{class:"device"},N("h3",{},e.id),N("p",{class:"\
quiet"},`${e.name}${i}, ${Ue(e.totalBytes)}`),...s,a)}function Kc(e){let t=$n(e.weightDtype),n=$n(e.computeDtype),r=t===n?t:`${t}, computes in ${n}`,o=N("li",{class:`\
tone-${Jc(e.weightDtype)}`},N("span",{},e.module),N("span",{class:"quiet"},`${r}, ${Ue(e.weightBytes)}`));return e.dtypeReason&&o.append(N("span",{class:"why"},
e.dtypeReason)),o}function $c(e){let t=N("ul",{class:"links","aria-label":"Copies between devices"});for(let n of e){let r=(On[n.route]??"unknown").toLowerCase(),
o=n.bytesPerSecond>0?`, ${Ue(n.bytesPerSecond)}/s`:"",s=n.reason?`: ${n.reason}`:"";t.append(N("li",{},`${n.fromDeviceId} \u2192 ${n.toDeviceId}: ${r}${o}${s}`))}
return t}function $n(e){return(Bn[e]??"unknown").toLowerCase()}function Jc(e){return e===1?2:e===2?5:e===3?3:4}var ne="schema",Ce="prompt",Ft=class{#e=g("task",HTMLSelectElement);#t=g("schema",HTMLTextAreaElement);#n;#r;#o="";constructor(t){this.#n=t,this.#e.addEventListener(
"change",()=>this.#c()),this.#t.addEventListener("input",()=>this.#i())}offer(t){let n=this.#s(this.#r).map(({documentType:a})=>a).join();this.#r=t;let r=this.#s(
t);if(this.#e.options.length>0&&n===r.map(({documentType:a})=>a).join())return;let o=this.#e.value,s=(t.capabilities?.jsonSchemaKeywords.length??0)>0;this.#e.replaceChildren(
...r.length>1?[N("option",{value:String(4)},"Fields of whatever it is")]:[],...r.map(({documentType:a})=>N("option",{value:String(a)},`Fields of ${Jn(Hn(a))}`)),
...s?[N("option",{value:ne},"Fields of a schema of mine")]:[],N("option",{value:Ce},"Answer to a question of mine")),this.#e.value=o||String(r[0]?.documentType??
Ce),this.#c()}select(t){this.#e.value=String(t),this.#c()}get isReady(){return this.#e.value!==ne||this.#t.validity.valid}get what(){let t=g("instructions",HTMLTextAreaElement).
value;switch(this.#e.value){case Ce:return{prompt:g("prompt",HTMLTextAreaElement).value};case ne:return{jsonSchema:this.#t.value,instructions:t};default:return{
documentType:Number(this.#e.value),instructions:t}}}get names(){if(this.#e.value!==ne)return this.namesOf(Number(this.#e.value));let t=JSON.parse(this.#t.value);
return Object.entries(t.properties??{}).filter(([,{type:r}])=>r!=="array"&&r!=="object").map(([r])=>r)}namesOf(t){return this.#s(this.#r).find(({documentType:n})=>n===
t)?.fields??[]}#s(t){return t?.capabilities?.builtInSchemas??[]}#c(){let{value:t}=this.#e;g("prompt-row",HTMLDivElement).hidden=t!==Ce,g("instructions-row",HTMLDivElement).
hidden=t===Ce,g("schema-row",HTMLDivElement).hidden=t!==ne,this.#s(this.#r).some(({documentType:n})=>String(n)===t)&&(this.#o=t),t===ne&&this.#t.value===""&&this.#a(),
this.#i()}#a(){let t=this.#s(this.#r).find(({documentType:n})=>String(n)===this.#o);t?.jsonSchema&&(this.#t.value=JSON.stringify(JSON.parse(t.jsonSchema),null,2))}#i(){
let t=g("schema-note",HTMLParagraphElement),n=this.#r?.capabilities?.jsonSchemaKeywords??[],r="";try{let o=JSON.parse(this.#t.value||"{}");(typeof o!="object"||
o===null||Array.isArray(o))&&(r="A schema is a JSON object.")}catch(o){r=`Not JSON yet: ${o.message}`}this.#t.setCustomValidity(this.#e.value===ne?r:""),t.textContent=
r||`It may use ${n.join(", ")}.`,this.#n()}};function Jn(e){return`${/^[aeiou]/.test(e)?"an":"a"} ${e}`}function Hn(e){return(j[e]??`type ${e}`).toLowerCase().replaceAll(
"_"," ")}var Hs=["queue","vision","prefill","decode"],Hc={1:"queue",2:"vision",3:"prefill",4:"decode"},Ut=class{#e;#t;#n=g("status",HTMLParagraphElement);#r=g("answer",HTMLElement);#o=g(
"text",HTMLPreElement);#s=g("tiles",HTMLSpanElement);#c=g("tiles-row",HTMLParagraphElement);#a;#i="";#l=0;#u=0;#m="";constructor(t,n){this.#e=t,this.#t=n}begin(t){
this.#a=void 0,this.#i="",this.#l=0,this.#u=0,this.#e.reset(t),this.#o.textContent="",this.#r.setAttribute("aria-busy","true"),g("rate",HTMLSpanElement).textContent=
"",g("summary",HTMLDivElement).hidden=!0,g("raw",HTMLDetailsElement).hidden=!1,g("phases",HTMLOListElement).hidden=!1,this.#c.hidden=!0,this.#f(""),this.say("Se\
nding the document.")}show(t){switch(t.case){case"accepted":this.#b(t.value);break;case"documentType":this.#e.reset(this.#t(t.value.documentType)),this.say(`It \
is ${Jn(Hn(t.value.documentType))}.`);break;case"progress":this.#y(t.value);break;case"tokenDelta":this.#g("decode","Reading: the answer is being written."),this.#o.
append(t.value.text),this.#o.scrollTop=this.#o.scrollHeight,this.#N(t.value.tokenCount);break;case"fieldDelta":this.#e.delta(t.value.pointer,t.value.text);break;case"\
fieldCompleted":this.#e.complete(t.value,this.#E(t.value));break;case"completed":this.#S(t.value);break}}stop(t){this.#e.end(),this.#a||(this.#e.reset([]),g("ph\
ases",HTMLOListElement).hidden=!0,g("raw",HTMLDetailsElement).hidden=!0),this.#f(""),this.#r.setAttribute("aria-busy","false"),this.say(t)}say(t){this.#n.textContent!==
t&&(this.#n.textContent=t)}#b(t){this.#a=t;let n=t.tilesPerPage.map(r=>N("span",{class:"page"},...Array.from({length:r},()=>N("i"))));this.#s.replaceChildren(...n),
this.#c.hidden=!1,this.#h(0)}#y(t){let n=Hc[t.phase]??"",r=this.#p(),o=t.queuePosition===void 0?"":`, ${t.queuePosition} before this one`;this.#g(n,{queue:`Wait\
ing in the queue${o}.`,vision:`Reading: ${r} ${r===1?"tile":"tiles"} through the vision encoder.`,prefill:"Reading: the model takes the prompt in.",decode:"Read\
ing: the answer is being written.","":"Reading."}[n]),this.#h(n==="prefill"||n==="decode"?r:t.encodedTiles)}#g(t,n){t!==this.#i&&(this.#i=t,this.#f(t),this.say(
n))}#f(t){let n=Hs.findIndex(r=>r===t);for(let r of g("phases",HTMLOListElement).children){let o=Hs.findIndex(s=>s===r.dataset.phase);r.classList.toggle("done",
o<n),o===n&&n>=0?r.setAttribute("aria-current","step"):r.removeAttribute("aria-current")}}#E({page:t,pageEvidence:n}){return t===void 0||(this.#a?.pages.length??
0)<2?"":`${n===3?"likely ":""}page ${t+1}`}#p(){return this.#a?.tilesPerPage.reduce((t,n)=>t+n,0)??0}#h(t){let n=this.#s.querySelectorAll("i");n.forEach((o,s)=>o.
classList.toggle("done",s<t));let r=`${t} of ${n.length} ${n.length===1?"tile":"tiles"} encoded`;this.#s.setAttribute("aria-label",r),g("tiles-note",HTMLSpanElement).
textContent=r}#N(t){this.#l+=t,this.#u||=performance.now();let n=(performance.now()-this.#u)/1e3,r=n>.2?`, ${(this.#l/n).toFixed(0)} a second`:"";g("rate",HTMLSpanElement).
textContent=`${this.#l} ${this.#l===1?"token":"tokens"}${r}`}#S(t){this.#e.end(),this.#e.checks(t.checks),this.#h(this.#p());for(let a of g("phases",HTMLOListElement).
children)a.classList.add("done"),a.removeAttribute("aria-current");this.#r.setAttribute("aria-busy","false"),this.#d(t);let n=t.fields.length,r=t.finishReason===
2?" It was cut at its longest length.":"",o=t.documentError?` No document: ${t.documentError}.`:"",s=n>0?`${n} ${n===1?"field":"fields"}`:"the answer is below";
this.say(`Done: ${s}, ${Lt(t.timings?.total)}.${r}${o}`),n===0&&(g("raw",HTMLDetailsElement).open=!0)}#d(t){let n=t.timings,r=(i,c,u)=>({label:i,size:Qn(c),shown:Lt(
c),tone:u});g("times",HTMLDivElement).replaceWith(N("div",{id:"times"},...Tt("Time",[r("queue",n?.queue,1),r("pages",n?.preprocess,2),r("vision",n?.vision,3),r(
"prompt",n?.prefill,4),r("answer",n?.decode,5)])));let o=t.usage,s=Qn(n?.decode),a=[["First token",Lt(n?.timeToFirstToken)],["Whole answer",Lt(n?.total)],["Inpu\
t tokens",`${o?.inputTokens??0}, ${o?.imageTokens??0} of pages`],["Output tokens",String(o?.outputTokens??0)],["Tokens a second",s>0?((o?.outputTokens??0)/s).toFixed(
1):"\u2013"],["Finish",(Xn[t.finishReason]??"unknown").toLowerCase()],...t.repairs.length>0?[["Mended",t.repairs.map(Qc).join(", ")]]:[],["Request id",this.#a?.
requestId??""],["Trace id",this.#a?.traceId||"not traced"]];g("facts",HTMLDListElement).replaceChildren(...a.map(([i,c])=>N("div",{},N("dt",{},i),N("dd",{},c)))),
this.#I(t),g("summary",HTMLDivElement).hidden=!1}#I(t){let n=t.documentJson??JSON.stringify(hn(Ls,t),null,2);URL.revokeObjectURL(this.#m),this.#m=URL.createObjectURL(
new Blob([n],{type:"application/json"})),g("download",HTMLAnchorElement).href=this.#m;let r=g("copy",HTMLButtonElement);r.onclick=async()=>{await navigator.clipboard.
writeText(n),this.say("Copied.")},r.hidden=!window.isSecureContext}};function Qc(e){return(Zn[e]??String(e)).toLowerCase().replaceAll("_"," ")}function Qn(e){return e?
Number(e.seconds)+e.nanos/1e9:0}function Lt(e){let t=Qn(e);return t<1?`${Math.round(t*1e3)} ms`:`${t.toFixed(2)} s`}var jc=2e3;async function Qs(e,t){for(;;){try{for await(let n of zc(e))eu(n),t(n)}catch(n){console.info("no news of the server",n);let{code:r,message:o}=L.from(
n);if(r==="UNAUTHENTICATED"||r==="PERMISSION_DENIED"){qc(o),t(void 0),await new Promise(s=>g("token",HTMLInputElement).addEventListener("change",s,{once:!0}));continue}}
jn("gone","no connection",""),t(void 0),await js()}}async function*zc(e){try{yield*e.watchModelInfo();return}catch(t){if(L.from(t).code!=="PERMISSION_DENIED")throw t}
for(;;)yield await e.modelInfo(),await js()}function js(){return new Promise(e=>setTimeout(e,jc))}function qc(e){jn("refused","token needed",`Give a token or an\
 API key in the options (${e}).`),g("options",HTMLDetailsElement).open=!0}function jn(e,t,n){let r=g("state",HTMLSpanElement);r.dataset.state!==e&&(r.dataset.state=
e,r.textContent=t),g("model",HTMLSpanElement).textContent=n,g("load",HTMLParagraphElement).textContent=""}function eu(e){let t=(It[e.state]??"unknown").toLowerCase(),
n=e.state===2?"":` ${e.stateMessage}`;jn(t,t,`${e.model}${n}`);let{runningRequests:r=0,queuedRequests:o=0}=e.load??{};g("load",HTMLParagraphElement).textContent=
`${r} running, ${o} waiting`,g("version",HTMLSpanElement).textContent=`Tessera ${e.serverVersion}, ${e.model} ${e.revision}.`,g("confidence",HTMLSpanElement).textContent=
e.capabilities?.confidenceMethod===2?"Confidence is calibrated: among documents like those it was fitted to, nine of ten values at 90 % are right.":"Confidence \
is the model's own; look at what it doubts."}var De=g("read",HTMLButtonElement),zn=g("cancel",HTMLButtonElement),zs=g("token",HTMLInputElement),qs=Ys(location.origin,{attempts:1,interceptors:[e=>t=>(zs.value&&
t.header.set("authorization",`Bearer ${zs.value}`),e(t))]}),tu=new Rt,qn=new Vt(ke),ge=new Ft(ke),Ct=new Ut(tu,e=>ge.namesOf(e)),ea,re;function ke(){let e=qn.files.
length>0&&ge.isReady&&ea?.state===2;De.disabled=!e||re!==void 0,De.hidden=re!==void 0,zn.hidden=re===void 0}function nu(e){ea=e,e&&(ge.offer(e),ru(e),Js(e)),ke()}
function ru(e){let t=e.capabilities?.mediaTypes??[];if(t.length>0){g("files",HTMLInputElement).accept=t.join(",");let o=t.map(s=>s.replace(/^.*\//,"").replace(/\+.*$/,
"").toUpperCase().replace("WEBP","WebP"));g("accepted-types",HTMLSpanElement).textContent=`${o.join(", ")}; all pages are one document`}let n=g("max-output-toke\
ns",HTMLInputElement);n.placeholder=n.max=String(e.limits?.maxOutputTokens??"");let r=g("max-tiles",HTMLInputElement);r.placeholder=r.max=String(e.limits?.maxTilesPerPage??
"")}function Dt(e){let{value:t}=g(e,HTMLInputElement);return t===""?void 0:Number(t)}function ou(){let e=Dt("max-output-tokens"),t=Dt("max-tiles"),n=Dt("tempera\
ture"),r={...e!==void 0&&{maxOutputTokens:e},...t!==void 0&&{maxTilesPerPage:t},...n!==void 0&&{temperature:n}};return{files:qn.files,generation:r,...ge.what}}async function er(){
if(De.disabled)return;let e=new AbortController;re=e,ke(),zn.focus({preventScroll:!0}),Ws(),Ct.begin(ge.names);let t=matchMedia("(max-width: 52rem)").matches;g(
"answer",HTMLElement).scrollIntoView({block:t?"start":"nearest"});let n=Dt("timeout"),r={signal:e.signal,...n!==void 0&&{timeoutMs:n*1e3}};try{for await(let o of qs.
stream(ou(),r))Ct.show(o)}catch(o){e.signal.aborted?Ct.stop("Cancelled. The server has stopped reading."):(Ct.stop("It failed."),Ps(L.from(o),()=>{er()}))}finally{
re=void 0,ke(),De.focus({preventScroll:!0})}}async function su(e){let t=await fetch(`/samples/${e}.png`);qn.replace([new File([await t.blob()],`${e}.png`,{type:"\
image/png"})]);let n=e.replaceAll("-","_").toUpperCase();ge.select(j[n])}zn.addEventListener("click",()=>re?.abort());g("options",HTMLDetailsElement).addEventListener(
"invalid",({currentTarget:e})=>e.open=!0,!0);g("ask",HTMLFormElement).addEventListener("submit",e=>{e.preventDefault(),er()});document.addEventListener("keydown",
e=>{e.key==="Escape"&&re?.abort(),e.key==="Enter"&&(e.ctrlKey||e.metaKey)&&!De.disabled&&er()});for(let e of document.querySelectorAll("[data-sample]"))e.addEventListener(
"click",()=>{su(e.dataset.sample??"")});Qs(qs,nu);
