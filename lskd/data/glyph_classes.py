"""The characters that glyphs shows, in the order of its classes: the first K of them are the K classes.

Letters of Latin, Greek and Cyrillic that all DejaVu faces of matplotlib have; first those that the STIX faces have too.
Of letters that are one outline in some face (Latin A, Greek Alpha, Cyrillic A) the first alone is here. Letters on one
base (by Unicode's decomposition: e è é ê) come in turns of four, letters without a relative last. A test holds this
list to these rules. Standard library only, for planning reads it.
"""

import unicodedata

CHARACTERS = (
    "aàáâΰυϋύcçćĉeèéêgĝğġiìíîlĺļľnñńņoòóôrŕŗřsśŝşuùúûwŵẁẃyýÿŷzźżžAÀÁÂCÇĆĈEÈÉÊGĜĞĠIÌÍÎLĹĻĽNÑŃŅOÒÓÔRŔŖŘSŚŜŞ"
    "UÙÚÛWŴẀẂYÝŶŸZŹŻŽtţťΐίϊTŢŤdďωώгѓhĥΊΪИЙjĵΎΫЎУkķΏΩæǽøǿDĎHĤJĴKĶÆǼØǾãäåāëēĕėïĩīĭõöōŏüũūŭÃÄÅĀËĒĔĖÏĨĪĬÕÖŌŎÜ"
    "ŨŪŬċčĊČģňšẅỳĢŇŠẄỲůűųưŮŰŲƯăąęěőơĂĄĘĚĮİŐƠįBΆЂFΈЃMΉЄPΌЉQΓЊVΔЋXΘЌbΞЏfΠДmΦЖpΨЗqάЛvέФxήЦÐβЧÞγШßζЩðθЪþλЫđμЬ"
    "ĦνЭħξЮıπЯĲρбĳςдĸσжĿτйŀφлŁχмłψфŉϐцŊϑчŋϒшŒϖщœϘъŦϙыŧϚьſϛэƀϝюƈϞяƐϟђƒϠљƕϡњƙϰћƚϱќƛϵўƞџƥѢƪѣƫҐƭґƺƾȷɐɑɒɓɔɕɖɗɘ"
    "ɚɛɜɝɞɟɠɡɢɣɤɥɦɧɨɩɪɫɬɭɮɯɰɱɲɳɴɵɶɷɸɹɺɻɼɽɾɿʀʁʂʃʄʅʆʇʈʉʊʋʌʍʎʏʐʑʒʓʕʖʗʘʙʚʛʜʝʞʟʠʡʢʣʤʥʦʧʨǎǟǡȁἀἁἂἃḋḍḏḑἐἑἒἓȅȇȩḙἠἡ"
    "ἢἣȟḣḥḧἰἱἲἳǐȉȋḭὀὁὂὃǩḱḳḵὐὑὒὓḷḹḻḽὠὡὢὣǹṅṇṉἈἉἊἋǒǫǭȍἘἙἚἛȑȓṙṛἨἩἪἫșṡṣṩἸἹἺἻțṫṭṯὈὉὊὋǔǖǘǚὙὛὝὟȳẏẙỵὨὩὪὫǍǠȀȂḊḌḎḐȄȆ"
    "ȨḘȞḢḤḦǏȈȊḬǨḰḲḴḶḸḺḼǸṄṆṈǑǪǬȌȐȒṘṚȘṠṢṨȚṪṬṮǓǕǗǙȲẎỴỸḃḅḇѝӣӥǧǵḡЍӢӤḿṁṃӮӰӲẇẉẘẑẓẕḂḄḆǦǴḠḾṀṂẐẒẔṕṗῤῥӂӝṽṿϓϔӁӜẋẍṔṖṼṾ"
    "ẆẈẊẌƷǮȃȧḁạἄἅἆἇḛḝẹẽἤἥἦἧȏȫȭȯἴἵἶἷǜȕȗṳὔὕὖὗȦḀẠẬὤὥὦὧḚḜẸẼἌἍἎἏȎȪȬȮἬἭἮἯǛȔȖṲἼἽἾἿὬὭὮὯḩḫẖἔἕὲἜἝῈὌὍῸṝṟὄὅṱẗῨῪḨḪṜṞḓị"
    "ṋỹḒỊṊṰȱṍọộὰᾀᾁᾂṵṷṹụὴᾐᾑᾒȰṌỌỘὶιῐῑṴṶṸỤὺῠῡῢὼᾠᾡᾢậằặẰẶệᾺỆῊῚῺớờỡợᾃᾄᾅᾆứừữựᾓᾔᾕᾖỚỜỠỢᾣᾤᾥᾦỨỪỮỰῒῖῗῦῧᾇᾰᾱᾲᾗῂῃῄᾧῲῳῴᾳᾴ"
    "ᾶᾷῆῇῶῷƁϗҒƂϺғƃϻҔƄϼҕƅϾҖƆϿҗƇῬҘƊҙƋҚƌқƍҢƎңƏҤƑҥƓҬƔҭƖүƗҰƘұƜҲƝҳƟҺƢӃƣӄƤӇƦӈƧӋƨӌƩӚƬӛƮӞƱӟƲӪƳӫƴӬƵӭƶӳƸӴƹӵƼӶƽӷƿӸǝӹǢ"
    "ǣǯǶȜȝȡȤȥȴȵȶȸȹȺȻȼȽȾȿɀɁɃɄɅɌɍʩʪʫʬʭʮʯᴂᴈᴉᴔᴖᴗᴝᴞᴟᵷᵻᶅḈḉḞḟẛẟ"
)


def base(character: str) -> str:
    """The letter under a character's accents: e of é. Classes on one base are similar by definition."""
    return unicodedata.normalize("NFD", character)[0]
