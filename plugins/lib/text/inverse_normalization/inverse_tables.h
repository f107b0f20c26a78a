// Tables of English inverse normalization: names as they are spoken and how they are written, and the names whose
// plural follows no rule. Source: the data files of nemo_text_processing 1.2.0 (NVIDIA, Apache License 2.0),
// inverse_text_normalization/en/data/{currency,measurements,whitelist}.tsv and
// text_normalization/en/data/suppletive.tsv.
#pragma once

#include <optional>
#include <string_view>

namespace fathom::text::inverse {

// Rows of `spoken=written;`, of the whitelist also `spoken=written=weight;`.

inline constexpr std::string_view kCurrencies =
    "afghan afghani=؋;albanian lek=l;algerian dinar=دج;angolan kwanza=kz;arab emirates dirham=aed;"
    "argentine peso=$;armenian dram=֏;aruban florin=ƒ;australian dollar=a$;azerbaijani manat=₼;"
    "bahamian dollar=b$;bahraini dinar=.د.ب;bangladeshi taka=৳;barbadian dollar=$;"
    "belarusian ruble=br;belize dollar=bz$;bermudian dollar=$;bhutanese ngultrum=nu;bitcoin=₿;"
    "bolivian boliviano=bs;bosnia and herzegovina convertible mark=km;botswana pula=p;brazilian real=r$;"
    "british pound=£;brunei dollar=b$;bulgarian lev=лв;burundian franc=fbu;cambodian riel=៛;"
    "canadian dollar=ca$;cape verde escudo=cve;cape verdean escudo=cve;cayman islands dollar=ci$;"
    "cfa franc=cfa;chilean peso=$;chinese yuan=元;colombian peso=$;comorian franc=cf;congolese franc=fc;"
    "costa rican colón=₡;croatian kuna=kn;cuban peso=cuc$;cypriot pound=cyp;czech koruna=kč;dalasi=d;"
    "danish krone=kr;djiboutian franc=fdj;dollar=$;dominican peso=rd$;east caribbean dollar=$;"
    "egyptian pound=e£;emirati dirham=aed;eritrean nakfa=nkf;ethereum=Ξ;ethiopian birr=br;euro=€;"
    "falkland islands pound=fk£;finnish markka=fim;georgian lari=₾;german mark=dm;ghanaian cedi=gh₵;"
    "guatemalan quetzal=q;guinean franc=fg;guyanese dollar=g$;haitian gourde=g;honduran lempira=l;"
    "hong kong dollar=hk$;hungarian forint=ft;inr=₹;icelandic króna=íkr;indian rupee=₹;"
    "indonesian rupiah=rp;iranian rial=﷼;iraqi dinar=ع.د;israeli new shekel=₪;israeli shekel=₪;"
    "jamaican dollar=j$;japanese yen=¥;jordanian dinar=ينار;kazakhstani tenge=₸;"
    "kenyan shilling=ksh;kuwaiti dinar=ك;kyat=k;kyrgyzstani som=som;lao kip=₭;lari=ლარი;"
    "lebanese pound=ل.ل;lesotho loti=l;liberian dollar=ld$;libyan dinar=ld;lilangeni=l;litecoin=ł;"
    "macanese pataca=mop$;malagasy ariary=ar;malawian kwacha=k;malaysian ringgit=rm;maldivian rufiyaa=rf;"
    "mauritanian ouguiya=mro;mauritian rupee=₨;mexican peso=$;moldovan leu=l;monero=ɱ;"
    "mongolian tögrög=₮;moroccan dirham=dh;mozambican metical=mt;namibian dollar=n$;"
    "nepalese rupee=rs;netherlands antillean guilder=ƒ;new taiwan dollar=nt$;new zealand dollar=nz$;"
    "nicaraguan córdoba=c$;nigerian naira=₦;north korean won=₩;norwegian krone=kr;omani rial=ر.ع;"
    "ouguiya=um;pakistani rupee=pkr;panamanian balboa=b/.;paraguayan guaraní=₲;peruvian sol=s/.;"
    "philippine peso=₱;polish zloty=zł;pounds sterling=£;qatari riyal=ر.ق;quid=£;real=r;"
    "ripples=xrp;romanian leu=lei;rupee=₹;russian ruble=₽;rwandan franc=r₣;saint helena pounds=shp;"
    "são tomé and príncipe dobra=db;saudi riyal=sar;second macedonian denar=ден;serbian dinar=rsd;"
    "seychelles rupee=scr;sierra leonean leone=le;singapore dollar=s$;somali shilling=sh.so.;somoni=tjs;"
    "south african rand=r;south korean won=₩;south sudanese pound=ss£;sri lankan rupee=රු;"
    "sudanese pound=sdg;surinamese dollar=sr$;swedish krona=kr;swiss franc=chf;syrian pound=£s;taka=৳;"
    "tanzanian shilling=tzs;tether=₮;thai baht=฿;trinidad and tobago dollar=tt$;tunisian dinar=د.ت;"
    "turkish lira=₺;turkmen new manat=m;ugandan shilling=ush;ukrainian hryvna=₴;"
    "united states dollar=$;uruguayan peso=$u;us dollar=$;uzbekistan som=som;venezuelan bolívar=bs.;"
    "vietnamese đồng=₫;won=₩;yemeni rial=﷼;yen=¥;";

inline constexpr std::string_view kMeasures =
    "fahrenheit=°F;celsius=°C;degree fahrenheit=°F;degree celsius=°C;kelvin=K;kilometer=km;meter=m;"
    "centimeter=cm;millimeter=mm;hectare=ha;mile=mi;square meter=m²;square kilometer=km²;foot=ft;"
    "percent=%;hertz=hz;kilowatt=kW;kilo watt=kW;kilo watt hour=kWh;kilowatt hour=kWh;watt hour=Wh;"
    "watt=W;horsepower=hp;horse power=hp;milligram=mg;kilogram=kg;gigahertz=ghz;kilohertz=khz;"
    "megahertz=mhz;volt=v;hour=h;mega coulomb=mc;second=s;nanometer=nm;revolution per minute=rpm;"
    "minute=min;milli ampere=mA;per cent=%;cubic meter=m³;mile per hour=mph;tera watt=tW;milli volt=mv;"
    "megawatt=mW;mega watt=mW;micrometer=μm;inch=\";c c=cc;gram=g;dalton=da;atmosphere=atm;ohm=ω;"
    "decibel=db;peta second=ps;ounce=oz;hecto liter=hl;microgram=μg;petagram=pg;kilobit=kb;megabit=mb;"
    "gigabit=gb;terabit=tb;petabit=pb;electron volt=ev;megabyte=mb;kilobyte=kb;gigabyte=gb;terabyte=tb;"
    "peta byte=pb;bit per second=bps;kilobit per second=kbps;megabit per second=mbps;"
    "gigabit per second=gbps;kilo bit per second=kbps;mega bit per second=mbps;terabit per second=tbps;"
    "tera bit per second=tbps;petabit per second=pbps;peta bit per second=pbps;kilobyte per second=kb/s;"
    "kilo byte per second=kb/s;gigabyte per second=gb/s;giga byte per second=gb/s;"
    "terabyte per second=tb/s;tera byte per second=tb/s;petabyte per second=pb/s;"
    "peta byte per second=pb/s;stone=st;kilo liter=kl;tera joule=tj;kilo volt=kv;mega volt=mv;"
    "kilo newton=kn;kilonewton=kn;megameter=mm;astronomical unit=au;yard=yd;radian=rad;lumen=lm;"
    "hecto second=hs;mole=mol;giga pascal=gpa;milliliter=ml;gigawatt=gW;ampere=A;mili ampere=mA;"
    "micro ampere=µA;mega ampere=MA;knot=kt;kilogram force=kgf;nano gram=ng;nanosecond=ns;"
    "mega siemens=ms;bar=bar;giga liter=gl;microsecond=μs;deci ampere=dA;pascal=pa;deci second=ds;"
    "milli second=ms;deci meter=dm;cubic deci meter=dm³;atomic mass unit=amu;mega farad=mf;becquerel=bq;"
    "square millimeter=mm²;square centimeter=cm²;square mile=sq mi;square foot=sq ft;kilopascal=kpa;"
    "candela=cd;tera liter=tl;mega second=ms;megapascal=mpa;peta meter=pm;giga watt hour=gWh;"
    "kilo calory=kcal;gray=gy;sievert=sv;hundredweight=cwt;";

inline constexpr std::string_view kIrregularPlurals =
    "foot=feet;won=won;percent=percent;hertz=hertz;inch=inches;yen=yen;megahertz=megahertz;"
    "gigahertz=gigahertz;kilohertz=kilohertz;c c=c c;horsepower=horsepower;hundredweight=hundredweight;"
    "kilogram force=kilograms force;mega siemens=mega siemens;"
    "revolution per minute=revolutions per minute;mile per hour=miles per hour;"
    "megabit per second=megabits per second;square foot=square feet;bit per second=bits per second;"
    "kilobit per second=kilobits per second;kilo bit per second=kilo bits per second;"
    "mega bit per second=mega bits per second;gigabit per second=gigabits per second;"
    "terabit per second=terabits per second;tera bit per second=tera bits per second;"
    "petabit per second=petabits per second;peta bit per second=peta bits per second;"
    "kilobyte per second=kilobytes per second;kilo byte per second=kilo bytes per second;"
    "gigabyte per second=gigabytes per second;giga byte per second=giga bytes per second;"
    "terabyte per second=terabytes per second;tera byte per second=tera bytes per second;"
    "petabyte per second=petabytes per second;peta byte per second=peta bytes per second;"
    "degree celsius=degrees celsius;degree fahrenheit=degrees fahrenheit;kelvin=kelvin;";

inline constexpr std::string_view kSpokenWhitelist =
    "ten k=10K;one d=1D;one g=1G;one k=1K;two point five g=2.5G;two d=2D;two g=2G;two k=2K;three d=3D;"
    "three g=3G;four d=4D;four g=4G;four k=4K;five d=5D;five g=5G;six g=6G;seven eleven=7-eleven;"
    "seven g=7G;eight k=8K;triple a=AAA;a c=AC;a c l=ACL;a das=ADAS;a e b=AEB;a e s=AES;a g x=AGX;a i=AI;"
    "ai=AI;ais=AI;a l u=ALU;a m d=AMD;a p i=API;api=API;a r p=ARP;a s a p=ASAP;a sap=ASAP;a s m c=ASMC;"
    "a s r=ASR;a sus=ASUS;asus=ASUS;a t and t=AT&T;a t m=ATM;a v one=AV1;av one=AV1;a v a s=AVAS;"
    "a vas=AVAS;a v r c p=AVRCP;a w s=AWS;aws=AWS;alpha fold=AlphaFold;astra zeneca=AstraZeneca;"
    "astrazeneca=AstraZeneca;audio to face=Audio2Face;audio too face=Audio2Face;b b c=BBC;b c p=BCP;"
    "b e v=BEV;b g a=BGA;b g p=BGP;Bios=BIOS;bios=BIOS;b i s=BIS;b s p=BSP;base pod=BasePOD;"
    "basepod=BasePOD;billion X=Billion-X;c sharp=C#;c plus plus=C++;cat five=CAT5;cat five e=CAT5e;"
    "cat six=CAT6;cat six a=CAT6A;cat seven=CAT7;cat eight=CAT8;c b c=CBC;c c s=CCS;c c t v=CCTV;"
    "c c tv=CCTV;c d n=CDN;c e o=CEO;c e s=CES;c f o=CFO;cha demo=CHAdeMO;chai demo=CHAdeMO;c l i=CLI;"
    "c m o=CMO;c m s=CMS;c n n=CNN;covid=COVID;covid nineteen=COVID-19;c p u=CPU;c s o=CSO;c s p=CSP;"
    "c s s=CSS;c v=CV;c v t=CVT;cal tech=CalTech;caltech=CalTech;cap ex=CapEx;capex=CapEx;"
    "chat g p t=ChatGPT;cloud x r=CloudXR;connect x=ConnectX;core two=Core 2;d a l i=DALI;d b=DB;d c=DC;"
    "d c d b=DCDB;d d r=DDR;d d o s=DDoS;d dos=DDoS;d g l=DGL;d g x=DGX=-1.1;"
    "d g x a hundred=DGX A100=-1.1;d g x a one hundred=DGX A100=-1.1;d g x station=DGX Station=-1.1;"
    "d h c p=DHCP;d l s s=DLSS;d l s s two=DLSS 2;d l s s three=DLSS 3;d n a=DNA;d n n=DNN;d n s=DNS;"
    "dos=DOS;d p=DP;d p d t=DPDT;d p u=DPU;d p x=DPX;deep mind=DeepMind;deepmind=DeepMind;"
    "deep stream=DeepStream;deepstream=DeepStream;dev ops=DevOps;direct three d=Direct3D;"
    "display port=DisplayPort;e b c=EBC;e b s=EBS;e c two=EC2;e c c=ECC;e c s=ECS;e f s=EFS;e g x=EGX;"
    "e k s=EKS;e l b=ELB;e l c b=ELCB;e m r=EMR;e o l=EOL;e v=EV;earth two=Earth-2;fee foe=FIFO;"
    "fifo=FIFO;foe moe=FOMO;fomo=FOMO;f p s=FPS;f s a=FSA;f s t=FST;f t p=FTP;f t p s=FTPS;f x=FX;"
    "g sync=G-SYNC;g c c=GCC;g c p=GCP;g c s=GCS;G f n=GFN;g p u=GPU;g r p c=GRPC;g r u=GRU;g s k=GSK;"
    "g t c=GTC;g t x=GTX=-1.1;g u i=GUI;gui=GUI;geforce=GeForce;geforce now=GeForce NOW;"
    "H two six four=H.264;H two sixty four=H.264;H two six five=H.265;H two sixty five=H.265;"
    "H one hundred=H100;h d m i=HDMI;h e v c=HEVC;h g x=HGX;Hmd=HMD;h p c=HPC;h q=HQ;h s m=HSM;h t=HT;"
    "h t m l=HTML;h t t p=HTTP;h t t p s=HTTPS;hugging face=HuggingFace;i o=I/O;i c m p=ICMP;i e c=IEC;"
    "i triple e=IEEE;i g m p=IGMP;i g x=IGX;i i s c=IISc;i i t=IIT;int eight=INT8;i p=IP;i p sec=IPSec;"
    "i s c=ISC;i s i=ISI;inifiband=InfiniBand;i o t=IoT;isaac sim=Isaac SIM;j son=JSON;"
    "java script=JavaScript;javascript=JavaScript;k v m=KVM;lee fei po=LFP;life po=LFP;l g a=LGA=-1.1;"
    "l l c=LLC;l l m=LLM;l l ms=LLMs;l l p=LLP;l s t m=LSTM;l t=LT;l t t=LTT;linked in=LinkedIn;"
    "linkedin=LinkedIn;m b=MB;m c b=MCB;m c c b=MCCB;m c p=MCP;m d m=MDM;m f a=MFA;m i t=MIT;m l=ML;"
    "m l perf=MLPerf;monai=MONAI;m w c=MWC;m x net=MXNet;mac book=MacBook;macbook=MacBook;"
    "mac book pro=MacBook Pro;max q=Max-Q;million x=Million-X;mo cap=MoCap;n c=NC;n g c=NGC;n l p=NLP;"
    "n l u=NLU;n m c=NMC;n o=NO;n t p=NTP;n v dec=NVDec;n v deck=NVDec;n v enc=NVEnc;n v inc=NVEnc;"
    "n v ink=NVEnc;n v m e=NVMe;knee cad=Ni-CD;n i m h=NiMH;no s q l=NoSQL;no sql=NoSQL;"
    "nvidia a hundred=Nvidia A100;nvidia a one hundred=Nvidia A100;nvidia a thirty=Nvidia A30;"
    "nvidia a forty=Nvidia A40;o c i=OCI;o e m=OEM;o e ms=OEMs;o l t c=OLTC;o l t p=OLTP;o n n x=ONNX;"
    "o v x=OVX;op ex=OpEx;opex=OpEx;open c l=OpenCL;open g l=OpenGL;p c i=PCI;p c i e=PCIe=-1.1;"
    "p d f=PDF;p h e v=PHEV;pop three=POP3;p s o=PSO;photo shop=Photoshop;fizz ex=PhysX;fizz x=PhysX;"
    "phys ex=PhysX;phys x=PhysX;play station=PlayStation;premiere pro=Premiere Pro;pro vis=ProVis;"
    "provis=ProVis;pi g=PyG;py g=PyG;pi torch=PyTorch;q o d a=QODA;q o s=QOS;r c b o=RCBO;r c c b=RCCB;"
    "r d s=RDS;r f p=RFP;risc=RISC;r l=RL;r n n=RNN;r o i=ROI;r s s=RSS;r t=RT;r t p=RTP;r t x=RTX=-1.1;"
    "r t x on=RTX ON;r t x off=RTX Off;racer x=RacerX;rye zen two=Ryzen 2;rye zen three=Ryzen 3;"
    "rye zen five=Ryzen 5;rye zen seven=Ryzen 7;rye zen nine=Ryzen 9;s and p=S&P;s three=S3;s a e=SAE;"
    "s d k=SDK;s e o=SEO;s f u=SFU;shield tv=SHIELD TV;sig graph=SIGGRAPH;siggraph=SIGGRAPH;s m p s=SMPS;"
    "s m t p=SMTP;s n m p=SNMP;s n s=SNS;s o l=SOL;s p d t=SPDT;s p n=SPN;s p s t=SPST;s q l=SQL;"
    "s q s=SQS;s s d=SSD;s s h=SSH;s s l=SSL;s s o=SSO;s s r=SSR;s u v=SUV;s w g=SWG;saas=SaaS;"
    "service now=ServiceNow;super cloud=SuperCloud;super pod=SuperPOD;t c p=TCP;t c p i p=TCP/IP;"
    "t f t p=TFTP;t j=TJ;t o s=TOS;t p m=TPM;t p m s=TPMS;t p n=TPN;t s l=TSL;t s m c=TSMC;t t s=TTS;"
    "tell net=Telnet;tensor r t=TensorRT;tick tock=Tick-Tock;tick tock app=TikTok app;"
    "tick tock is=TikTok is;u d p=UDP;u e f i=UEFI;u f i=UFI;u p s=UPS;u s b=USB;v a a p i=VAAPI;"
    "v a api=VAAPI;v d i=VDI;v d p a u=VDPAU;v d paw=VDPAU;v d pow=VDPAU;v f d=VFD;v lan=VLAN;v p=VP;"
    "v p n=VPN;v c c=Vcc;v d d=Vdd;v o i p=VoIP;w f s a=WFSA;w f s t=WFST;wi fi=Wi-Fi;wifi=Wi-Fi;"
    "x f x=XFX;x fx=XFX;x m l=XML;zen two=Zen 2;zen three=Zen 3;zen four=Zen 4;c sharp=c#;"
    "c plus plus=c++;cue blah=cuBLAS;cue blahs=cuBLAS;q blahs=cuBLAS;c u d n n=cuDNN;cue d n n=cuDNN;"
    "q d n n=cuDNN;cue opt=cuOpt;q opt=cuOpt;cue quantum=cuQuantum;q quantum=cuQuantum;doctor=dr.;"
    "for example=e.g.;e s three=es3;e x t four=ext4;i three=i3;i five=i5;i seven=i7;i nine=i9;ios=iOS;"
    "i t p m s=iTPMS;mister=mr.;misses=mrs.;on tick tock=on TikTok;s f t p=sFTP;saint=st.;x one=x1;"
    "x two=x2;x eight=x8;";

// Calls with (written, spoken) of each row.
template <typename Call>
void for_each_row(std::string_view table, const Call& call) {
  while (!table.empty()) {
    const std::string_view row = table.substr(0, table.find(';'));
    table.remove_prefix(row.size() + 1);
    const size_t sign = row.find('=');
    call(row.substr(sign + 1), row.substr(0, sign));
  }
}

inline std::optional<std::string_view> irregular_plural(std::string_view name) {
  std::optional<std::string_view> found;
  for_each_row(kIrregularPlurals, [&](std::string_view plural, std::string_view singular) {
    if (singular == name) found = plural;
  });
  return found;
}

}  // namespace fathom::text::inverse
