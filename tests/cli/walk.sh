# A folder is walked: text and Markdown below it, whatever the case of the suffix, and symbolic links
# to such files; no hidden files and folders, no other suffixes. Links to folders and what cannot be
# read are told of. A file named outright is read whatever its name.
. "$REPO/tests/cli/helpers"
mkdir -p books/deep/er books/.hidden "books/a b"
story 1 3 >books/one.txt
story 2 3 >books/deep/two.md
story 3 3 >books/deep/er/three.TXT
story 4 3 >"books/a b/four.markdown"
story 5 3 >books/five.text
story 6 3 >books/.six.txt
story 7 3 >books/.hidden/seven.txt
story 8 3 >books/eight.doc
story 9 3 >books/nine
story 10 3 >elsewhere.txt
ln -s ../elsewhere.txt books/ten.txt
ln -s . books/loop
ln -s nowhere books/eleven.txt
/usr/bin/python3 -c '# a folder whose path is too long to be opened
import os
os.chdir("books")
for level in range(20):
    os.mkdir("d" * 250)
    os.chdir("d" * 250)'
shorten() { sed 's|/dd[d/]*|/dd...|'; }
index -c a.lmk books | shorten
list a.lmk
index --strict -c a.lmk books | shorten
echo "---- named outright, and twice"
index -c b.lmk books/nine books/.six.txt books/nine ./books/../books/nine
list b.lmk
echo "---- the collection in an environment variable, a trailing slash, another folder"
mkdir other
(cd other && LMK_COLLECTION=../a.lmk/ "$LMK" list | wc -l)
