#include "src/text/markup.h"
#include "src/text/markup_internal.h"

#include <libxml/parserInternals.h>
#include <string.h>

#define DEPTH_MAX 250

struct xml {
    xmlParserCtxtPtr parser;
    const struct markup_handler *handler;
    void *context;
    int depth;
};

static const char *local_name(const char *name)
{
    const char *colon = strchr(name, ':');
    return colon ? colon + 1 : name;
}

const char *markup_attribute(const char *const *attributes, const char *name)
{
    for (; attributes && attributes[0]; attributes += 2)
        if (!strcmp(local_name(attributes[0]), name))
            return attributes[1] ? attributes[1] : "";
    return NULL;
}

static void on_start(void *context, const xmlChar *name, const xmlChar **attributes)
{
    struct xml *xml = context;
    if (++xml->depth > DEPTH_MAX)
        xmlStopParser(xml->parser);
    else
        xml->handler->start(xml->context, local_name((const char *)name),
                            (const char *const *)attributes);
}

static void on_end(void *context, const xmlChar *name)
{
    struct xml *xml = context;
    xml->depth--;
    xml->handler->end(xml->context, local_name((const char *)name));
}

static void on_text(void *context, const xmlChar *text, int size)
{
    struct xml *xml = context;
    if (size > 0)
        xml->handler->text(xml->context, (const char *)text, (size_t)size);
}

void xml_parse(struct slice bytes, const struct markup_handler *handler, void *context)
{
    markup_start_library();
    if (!bytes.size || bytes.size > MARKUP_SIZE_MAX)
        return;
    struct markup_input input = {.left = bytes};
    struct xml xml = {
        xmlCreateIOParserCtxt(NULL, NULL, markup_input_read, NULL, &input, XML_CHAR_ENCODING_NONE),
        handler, context, 0};
    if (!xml.parser)
        return;
    input.parser = xml.parser;
    *xml.parser->sax = (xmlSAXHandler){.startElement = on_start,
                                       .endElement = on_end,
                                       .characters = on_text,
                                       .ignorableWhitespace = on_text,
                                       .cdataBlock = on_text,
                                       .initialized = 1};
    xml.parser->userData = &xml;
    xmlCtxtUseOptions(xml.parser, XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING |
                                      XML_PARSE_RECOVER | XML_PARSE_SAX1);
    xmlParseDocument(xml.parser);
    xmlFreeParserCtxt(xml.parser);
}
